/** Asking for the permission that a command needs, in one question instead of one a file. */

import { fileURLToPath } from "node:url";
import type { Terminal } from "./terminal.ts";

/**
 * Makes sure that everything under a folder can be read; in a terminal Deno asks, if it was not told.
 *
 * @param folder On a disk or on the web.
 * @param what What the folder holds, for messages, such as "the models".
 * @param terminal Where the reason is given before Deno asks.
 * @throws {Deno.errors.NotCapable} If it may not be read; the message names the flag.
 */
export async function requestAccess(folder: URL, what: string, terminal: Terminal): Promise<void> {
  const isLocal = folder.protocol === "file:";
  const name = (isLocal ? fileURLToPath(folder) : folder.href).replace(/[/\\]$/, "");
  const permission: Deno.PermissionDescriptor = isLocal
    ? { name: "read", path: folder }
    : { name: "net", host: folder.host };
  let { state } = await Deno.permissions.query(permission);
  if (state === "prompt") {
    // Without a terminal nobody is asked, and the answer is no.
    if (terminal.stdinIsTerminal && terminal.rewrites) {
      terminal.writeError(`This needs ${what}, in ${name}, and nothing else. Deno asks:\n`);
    }
    state = (await Deno.permissions.request(permission)).state;
  }
  if (state === "granted") return;
  const flag = isLocal ? "--allow-read" : `--allow-net=${folder.host}`;
  throw new Deno.errors.NotCapable(
    `Cannot ${isLocal ? "read" : "download"} ${what} in ${name}: run again with ${flag}`,
  );
}
