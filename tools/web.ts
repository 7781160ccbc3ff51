// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * `deno task web`: builds the page into `dist/`, says how large it is, and serves it on this machine.
 *
 *     deno task web [--port N] [--no-isolation] [--build-only]
 *
 * `dist/` is a folder of static files: any host serves it, from any path. WebGPU needs https or localhost; threads on the
 * CPU need the two headers that this server sends (cross-origin-opener-policy: same-origin, cross-origin-embedder-policy:
 * require-corp), without which there is one. `--no-isolation` leaves them out.
 */

import { parseArgs } from "@std/cli/parse-args";
import { answerHelp } from "./help.ts";
import { buildWeb } from "./build_web.ts";
import { folderHandler } from "./serve_folder.ts";
import { describeSizes, webSizes } from "./web_sizes.ts";

answerHelp(import.meta.url);
const args = parseArgs(Deno.args, {
  boolean: ["isolation", "build-only"],
  negatable: ["isolation"],
  string: ["port"],
  default: { isolation: true, port: "8000" },
  unknown: (option: string) => {
    console.error(
      `Cannot serve the page: unknown option "${option}", expected --port, --no-isolation or --build-only`,
    );
    Deno.exit(2);
  },
});

const folder = decodeURIComponent(new URL("../dist", import.meta.url).pathname);
await buildWeb(folder);
for (const line of describeSizes(await webSizes(folder))) console.log(line);
if (args["build-only"]) {
  console.log("The page is in dist/");
} else {
  Deno.serve({
    hostname: "localhost",
    port: Number(args.port),
    onListen: ({ port }) => console.log(`The page is at http://localhost:${port}/ (Ctrl-C ends)`),
  }, folderHandler(folder, { isolated: args.isolation }));
}
