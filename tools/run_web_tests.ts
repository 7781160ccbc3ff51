/**
 * `deno task test:web`: makes sure of a browser, then runs the tests of the page in it. Arguments go to `deno test`.
 *
 *     deno task test:web [--kernels]
 *
 * With `--kernels` it is one check of every kernel alone: minutes, for which a software adapter compiles kernels.
 */

import { answerHelp } from "./help.ts";

const ROOT = new URL("..", import.meta.url);

const KERNELS = "tests/web/kernels_test.ts";

answerHelp(import.meta.url);
const args = Deno.args.filter((arg) => arg !== "--kernels");
const tests = args.length < Deno.args.length ? [KERNELS] : ["tests/web", `--ignore=${KERNELS}`];
for (
  const command of [
    ["run", "-A", "tools/ensure_browser.ts"],
    ["test", "-A", ...tests, ...args],
  ]
) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: command,
    ...{ cwd: ROOT, stdin: "null" },
  }).spawn().status;
  if (code !== 0) Deno.exit(code);
}
