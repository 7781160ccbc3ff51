/** What `--version` prints. */

/** As deno.json has it, which a program that was started by its URL does not come with. */
const VERSION = "0.1.0";

/** Slither's version, and what runs it. */
export function versionLine(): string {
  return `slither ${VERSION} (Deno ${Deno.version.deno})\n`;
}

/** Whether a command line asks for it. */
export function asksForVersion(args: readonly string[]): boolean {
  return args[0] === "--version";
}
