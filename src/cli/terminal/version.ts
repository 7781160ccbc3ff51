/** What `--version` prints. */

import manifest from "../../../deno.json" with { type: "json" };

/** Slither's version, and what runs it. */
export function versionLine(): string {
  return `slither ${manifest.version} (Deno ${Deno.version.deno})\n`;
}

/** Whether a command line asks for it. */
export function asksForVersion(args: readonly string[]): boolean {
  return args[0] === "--version";
}
