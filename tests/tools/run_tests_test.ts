import { assertEquals } from "@std/assert";
import { addTestSummaries, summaryOf } from "../../tools/test_summary.ts";
import { testFiles, testParts } from "../../tools/test_parts.ts";

const ROOT = new URL("../../", import.meta.url);

const NONE = { passed: 0, passedSteps: 0, failed: 0, failedSteps: 0, ignored: 0, filtered: 0 };

Deno.test("every test file that needs no browser is in one part of the suite", async () => {
  const files = await testFiles(ROOT, "tests");
  const here = files.filter((file) => !file.startsWith("tests/web/"));
  assertEquals((await testParts(ROOT)).flat().sort(), here.sort());
});

Deno.test("summaryOf() takes the last line of deno test apart, whatever is in it", () => {
  const lines = {
    "ok | 12 passed | 0 failed (5s)": { passed: 12 },
    "ok | 1 passed (1 step) | 0 failed (87ms)": { passed: 1, passedSteps: 1 },
    "FAILED | 3 passed (3 steps) | 2 failed (1 step) | 4 ignored | 5 filtered out (1m2s)": {
      ...{ passed: 3, passedSteps: 3, failed: 2, failedSteps: 1, ignored: 4, filtered: 5 },
    },
  };
  for (const [line, counts] of Object.entries(lines)) {
    assertEquals(summaryOf(`running\n\n${line}\n\nerror: more\n`), {
      text: "running\n\n\n\nerror: more",
      summary: { ...NONE, ...counts },
    });
  }
  assertEquals(summaryOf("error: it died\n"), { text: "error: it died", summary: undefined });
});

Deno.test("addTestSummaries() is one line as of one run", () => {
  const first = { ...NONE, passed: 12, failed: 1 };
  const second = { ...NONE, passed: 3, passedSteps: 3, filtered: 2 };
  assertEquals(
    addTestSummaries([first, second], false, 62_000),
    "FAILED | 15 passed (3 steps) | 1 failed | 2 filtered out (1m2s)",
  );
  assertEquals(addTestSummaries([NONE], true, 5400), "ok | 0 passed | 0 failed (5s)");
});
