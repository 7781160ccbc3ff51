// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Runs pages of docs/ and puts what their commands print now into them, for a change that changes it:
 *
 *     deno run -A tools/record_docs.ts docs/hub.md docs/state.md
 *
 * Lines that a page cuts short by "..." stay so. What a test runs otherwise than it is shown is not recorded: that output
 * is its author's, and this says which. Whether pages do what they show is tests/docs_test.ts.
 */

import { parsePage } from "../tests/docs/page.ts";
import { Checkout } from "../tests/docs/run_page.ts";
import { renewed } from "../tests/docs/shape.ts";
import { answerHelp } from "./help.ts";

/** What is said of a machine with a software adapter: pages show one without. */
const SOFTWARE = /as llvmpipe .* is no GPU, and slower/;

answerHelp(import.meta.url);
await using checkout = await Checkout.make();
for (const path of Deno.args) {
  const text = await Deno.readTextFile(path);
  const lines = text.split("\n");
  let moved = 0;
  for await (const { command, found, passed } of checkout.run(parsePage(path, text))) {
    const { output, from, to } = command;
    const isKept = output === undefined || command.run !== command.shown;
    console.log(`${passed ? "as shown" : isKept ? "FAILED  " : "new     "} $ ${command.run}`);
    if (isKept && !passed) console.log(found.join("\n"));
    if (isKept) continue;
    const own = renewed(found, output).map((line) => line.replace(SOFTWARE, "as there is no GPU"));
    lines.splice(from + moved, to - from, ...own);
    moved += own.length - (to - from);
  }
  await Deno.writeTextFile(path, lines.join("\n"));
}
