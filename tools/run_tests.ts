// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * `deno task test`: makes sure of an adapter, then runs every test but those in a browser, which are `deno task
 * test:web`. Arguments go to `deno test`, such as `--filter NAME` or a path; a path is all that then runs.
 *
 * All tests run in parts, side by side: each is a process of its own, whose output comes as a whole when it ends. The
 * last line adds them up. `deno check` is one of the parts.
 *
 * Now and then (about one run in thirty) a process with a software adapter dies by a signal while it exits, after its
 * last test: a heap corruption in the driver's or Deno's tear-down, with no test involved. A part that died by a signal
 * says nothing, so it is made once more; one in which a test fails is not.
 */

import { addTestSummaries, summaryOf, type TestSummary } from "./test_summary.ts";
import { testParts } from "./test_parts.ts";
import { answerHelp } from "./help.ts";

const ROOT = new URL("..", import.meta.url);

const TEST = ["test", "-A", "--preload", "./tests/settle_readbacks.ts"];

/** Runs Deno in this terminal. */
async function deno(args: readonly string[]): Promise<Deno.CommandStatus> {
  return await new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT, stdin: "null" })
    .spawn().status;
}

/** Runs it once more, where it dies by a signal. */
async function twiceAtMost<T extends Deno.CommandStatus>(run: () => Promise<T>): Promise<T> {
  const first = await run();
  if (first.signal === null) return first;
  console.error(`The test process died by ${first.signal}: running once more`);
  return await run();
}

/** Runs a part, and prints what it says when it ends. */
async function runPart(
  args: readonly string[],
): Promise<{ isOk: boolean; summary: TestSummary | undefined }> {
  const { success, stdout, stderr } = await twiceAtMost(() =>
    new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT, stdin: "null" }).output()
  );
  const { text, summary } = summaryOf(new TextDecoder().decode(stdout));
  await Deno.stderr.write(stderr);
  console.log(text);
  const isTest = args[0] === "test";
  const isOk = success && (!isTest || summary !== undefined);
  if (!isOk) console.log(`Failed: deno ${args.join(" ")}`);
  return { isOk, summary };
}

/** Parts at a time: one more than there are cores, as tests wait for readbacks, for processes and for timers. */
const LANES = navigator.hardwareConcurrency + 1;

/** Runs all parts; whether all went well. */
async function runAll(options: readonly string[]): Promise<boolean> {
  const start = performance.now();
  const parts = [
    ["check", "--quiet", "."],
    // Examples in the documentation may run on a GPU, too, and cannot say that they need TEST's preload.
    // The programs of docs/ run beside mod.ts, or in Node: see tests/docs_test.ts.
    [...TEST, "--doc", "--ignore=tests,docs", ...options],
    ...(await testParts(ROOT)).map((files) => [...TEST, "--no-check", ...options, ...files]),
  ].values();
  const summaries: TestSummary[] = [];
  let allOk = true;
  const lane = async () => {
    for (const part of parts) {
      const { isOk, summary } = await runPart(part);
      if (summary !== undefined) summaries.push(summary);
      allOk &&= isOk;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`\n${addTestSummaries(summaries, allOk, performance.now() - start)}`);
  return allOk;
}

/** Whether an argument says what to run, and not how. */
async function isPath(arg: string): Promise<boolean> {
  return !arg.startsWith("-") && await Deno.stat(new URL(arg, ROOT)).then(() => true, () => false);
}

answerHelp(import.meta.url);
const adapter = await deno(["run", "-A", "tools/ensure_adapter.ts"]);
if (!adapter.success) Deno.exit(adapter.code);

if (!(await Promise.all(Deno.args.map(isPath))).includes(true)) {
  Deno.exit(await runAll(Deno.args) ? 0 : 1);
}
const { code } = await twiceAtMost(() => deno([...TEST, "--doc", "--parallel", ...Deno.args]));
Deno.exit(code);
