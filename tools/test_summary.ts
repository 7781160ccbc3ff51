/** The last line of `deno test`, of several runs as one. */

/** How many tests, and steps of theirs, came to what. */
export interface TestSummary {
  readonly passed: number;
  readonly passedSteps: number;
  readonly failed: number;
  readonly failedSteps: number;
  readonly ignored: number;
  readonly filtered: number;
}

const SUMMARY = new RegExp(
  "^(?:ok|FAILED) \\| (?<passed>\\d+) passed(?: \\((?<passedSteps>\\d+) steps?\\))?" +
    " \\| (?<failed>\\d+) failed(?: \\((?<failedSteps>\\d+) steps?\\))?" +
    "(?: \\| (?<ignored>\\d+) ignored(?: \\(\\d+ steps?\\))?)?(?: \\| \\d+ measured)?" +
    "(?: \\| (?<filtered>\\d+) filtered out)? \\(.*\\)$",
  "gm",
);

/** What a run printed without its last summary, and that summary, where it came so far. */
export function summaryOf(
  output: string,
): { text: string; summary: TestSummary | undefined } {
  const match = [...output.matchAll(SUMMARY)].at(-1);
  if (match === undefined) return { text: output.trimEnd(), summary: undefined };
  const { groups = {}, index, 0: line } = match;
  const count = (name: keyof TestSummary) => Number(groups[name] ?? 0);
  return {
    text: (output.slice(0, index) + output.slice(index + line.length)).trimEnd(),
    summary: {
      passed: count("passed"),
      passedSteps: count("passedSteps"),
      failed: count("failed"),
      failedSteps: count("failedSteps"),
      ignored: count("ignored"),
      filtered: count("filtered"),
    },
  };
}

/** One line for all of them, in the words of `deno test`. */
export function addTestSummaries(
  summaries: readonly TestSummary[],
  allOk: boolean,
  elapsedMs: number,
): string {
  const sum = (name: keyof TestSummary) =>
    summaries.reduce((total, summary) => total + summary[name], 0);
  const steps = (count: number) =>
    count === 0 ? "" : ` (${count} ${count === 1 ? "step" : "steps"})`;
  const seconds = Math.round(elapsedMs / 1000);
  const time = seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  return [
    allOk ? "ok" : "FAILED",
    `${sum("passed")} passed${steps(sum("passedSteps"))}`,
    `${sum("failed")} failed${steps(sum("failedSteps"))}`,
    ...(sum("ignored") > 0 ? [`${sum("ignored")} ignored`] : []),
    ...(sum("filtered") > 0 ? [`${sum("filtered")} filtered out`] : []),
  ].join(" | ") + ` (${time})`;
}
