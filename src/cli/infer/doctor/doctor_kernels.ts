/** What `infer.ts doctor` says of each kernel. */

import type { CheckResult } from "../../../checks/run_checks.ts";
import { formatDuration } from "../../terminal/format.ts";

/** All checks of a kernel. */
export interface KernelReport {
  readonly kernel: string;
  readonly passed: boolean;
  readonly checks: number;
  /** In units of what is allowed; `null` where it is infinite or not a number. */
  readonly worst: number | null;
  readonly elapsedMs: number;
  readonly failures: readonly { readonly name: string; readonly detail: string }[];
}

/** A report for each kernel, when its last result is there. */
export async function* kernelReports(
  results: AsyncIterable<CheckResult>,
): AsyncGenerator<KernelReport, void, void> {
  let own: CheckResult[] = [];
  for await (const result of results) {
    if (own.length > 0 && own[0]?.kernel !== result.kernel) {
      yield reportOf(own);
      own = [];
    }
    own.push(result);
  }
  if (own.length > 0) yield reportOf(own);
}

function reportOf(results: readonly CheckResult[]): KernelReport {
  // Math.max() of anything with NaN is NaN.
  const worst = Math.max(...results.map((result) => result.worst));
  return {
    kernel: results[0]?.kernel ?? "",
    passed: results.every(({ passed }) => passed),
    checks: results.length,
    worst: Number.isFinite(worst) ? worst : null,
    elapsedMs: results.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0),
    failures: results.filter(({ passed }) => !passed).map(({ name, worst, detail, error }) => ({
      name,
      detail: error ? detail : `${formatWorst(worst)} x what is allowed: ${detail}`,
    })),
  };
}

/** A line, and one more for each check that failed. */
export function kernelLines(report: KernelReport): string[] {
  const { kernel, passed, checks, worst, elapsedMs, failures } = report;
  const columns = [
    passed ? "pass" : "FAIL",
    kernel.padEnd(20),
    `${String(checks).padStart(3)} checks`,
    `worst ${formatWorst(worst ?? Infinity).padEnd(8)}`,
    formatDuration(elapsedMs),
  ];
  return [
    columns.join("  "),
    ...failures.map(({ name, detail }) => `      ${name}: ${detail}`),
  ];
}

function formatWorst(worst: number): string {
  return Number.isFinite(worst) ? worst.toPrecision(2) : "infinite";
}
