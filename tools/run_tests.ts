// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * `deno task test`: makes sure of an adapter, then runs every test but those in a browser, which are `deno task
 * test:web`. Arguments go to `deno test`, such as `--filter NAME` or a path.
 *
 * Now and then (about one run in thirty) the process of a software adapter dies by a signal while it exits, after its
 * last test: a heap corruption in the driver's or Deno's tear-down, with no test involved. A run that died by a signal
 * says nothing, so it is made once more; a run in which a test fails is not.
 */

import { answerHelp } from "./help.ts";

const ROOT = new URL("..", import.meta.url);

async function deno(...args: string[]): Promise<Deno.CommandStatus> {
  return await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdin: "null" }).spawn().status;
}

answerHelp(import.meta.url);
const adapter = await deno("run", "-A", "tools/ensure_adapter.ts");
if (!adapter.success) Deno.exit(adapter.code);

// Examples in the documentation may run on a GPU, too, and cannot say that they need this.
const settling = ["--preload", "./tests/settle_readbacks.ts"];
const test = [
  ...["test", "-A", "--doc", "--parallel", "--ignore=tests/web"],
  ...[...settling, ...Deno.args],
];
let status = await deno(...test);
if (status.signal !== null) {
  console.error(`The test process died by ${status.signal}: running once more`);
  status = await deno(...test);
}
Deno.exit(status.code);
