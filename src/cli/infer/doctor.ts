/** `infer.ts doctor`: what this device is, and every kernel against the float64 oracle on this very device. */

import type { KernelCheck } from "../../checks/kernel_check.ts";
import { type CheckResult, runCheckList, runChecks } from "../../checks/run_checks.ts";
import { type Gpu, openGpu } from "../../gpu/device.ts";
import { Staging } from "../../gpu/readback.ts";
import { formatBytes, formatCount, formatDuration } from "../terminal/format.ts";

/** What {@linkcode doctor} is told. */
export interface DoctorOptions {
  /** Writes one object instead of lines. */
  readonly json: boolean;
  /** Where the report goes; it is given whole lines. */
  readonly write: (text: string) => void;
  /** What to run; every check there is if left out. */
  readonly checks?: readonly KernelCheck[];
}

interface KernelReport {
  readonly kernel: string;
  readonly passed: boolean;
  readonly checks: number;
  /** In units of what is allowed; `null` where it is infinite or not a number. */
  readonly worst: number | null;
  readonly elapsedMs: number;
  readonly failures: readonly { readonly name: string; readonly detail: string }[];
}

interface ReadbackReport {
  /** "blocking" where the data is there as soon as it is asked for, "promise" where it must be awaited. */
  readonly path: "blocking" | "promise";
  readonly blockingMs: number;
  readonly promiseMs: number;
}

interface DeviceReport {
  readonly adapter: string;
  readonly software: boolean;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
  readonly readback: ReadbackReport;
}

const LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/**
 * Describes the device, then runs every kernel check on it.
 *
 * @returns The exit code: 1 if there is no device or a check fails.
 */
export async function doctor(options: DoctorOptions): Promise<number> {
  const { json, write } = options;
  const print = (line: string) => json || write(`${line}\n`);
  try {
    const device = await describeDevice();
    describeLines(device).forEach(print);
    print(`\nkernels against the float64 oracle; an error of 1 is what is allowed`);
    const kernels: KernelReport[] = [];
    for await (const report of kernelReports(resultsOf(options.checks))) {
      kernels.push(report);
      describeKernel(report).forEach(print);
    }

    const failed = kernels.filter(({ passed }) => !passed).map(({ kernel }) => kernel);
    const passed = failed.length === 0;
    const count = kernels.reduce((sum, { checks }) => sum + checks, 0);
    print(
      passed
        ? `\nAll ${count} checks of ${kernels.length} kernels pass on ${device.adapter}`
        : `\nFAIL: ${failed.join(", ")} on ${device.adapter}. Its results cannot be trusted`,
    );
    if (json) write(`${JSON.stringify({ passed, ...device, kernels }, null, 2)}\n`);
    return passed ? 0 : 1;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    write(
      json ? `${JSON.stringify({ passed: false, error: message }, null, 2)}\n` : `${message}\n`,
    );
    return 1;
  }
}

async function describeDevice(): Promise<DeviceReport> {
  using gpu = await openGpu();
  const { limits, features } = gpu.device;
  return {
    adapter: gpu.name,
    software: gpu.isSoftware,
    limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    features: [...features].sort(),
    readback: await measureReadback(gpu),
  };
}

function describeLines({ adapter, software, limits, features, readback }: DeviceReport): string[] {
  return [
    `adapter    ${adapter}${software ? " (computes on the CPU: right, and slow)" : ""}`,
    ...Object.entries(limits).map(([name, value]) =>
      `limit      ${name} ${formatLimit(name, value)}`
    ),
    `features   ${features.join(", ") || "none"}`,
    `readback   ${describeReadback(readback)}`,
  ];
}

async function* resultsOf(
  checks: readonly KernelCheck[] | undefined,
): AsyncGenerator<CheckResult, void, void> {
  if (checks === undefined) return yield* runChecks();
  const { openWebgpuBench } = await import("../../checks/webgpu_bench.ts");
  yield* runCheckList(checks, () => openWebgpuBench());
}

/** A report for each kernel, when its last result is there. */
async function* kernelReports(
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

/** Medians of some small reads each way, and whether the first way had to wait. */
async function measureReadback(gpu: Gpu): Promise<ReadbackReport> {
  const ROUNDS = 9;
  using staging = await Staging.create(gpu, 256);
  const times = { blocking: [] as number[], promise: [] as number[] };
  let waited = false;
  for (let round = 0; round < ROUNDS; round++) {
    for (const wait of ["blocking", "promise"] as const) {
      const start = performance.now();
      let settled = false;
      const reading = staging.read(256, wait).then(() => settled = true);
      // What had its data at once settles within a few microtasks; mapping takes a turn of the event loop.
      for (let turn = 0; turn < 8; turn++) await undefined;
      if (wait === "blocking" && !settled) waited = true;
      await reading;
      times[wait].push(performance.now() - start);
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN;
  return {
    path: waited ? "promise" : "blocking",
    blockingMs: median(times.blocking),
    promiseMs: median(times.promise),
  };
}

function describeReadback({ path, blockingMs, promiseMs }: ReadbackReport): string {
  return path === "blocking"
    ? `at once, ${blockingMs.toFixed(2)} ms (awaited: ${promiseMs.toFixed(2)} ms)`
    : `awaited, ${promiseMs.toFixed(2)} ms (this platform has no faster way)`;
}

function describeKernel(report: KernelReport): string[] {
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

function formatLimit(name: string, value: number): string {
  return name.endsWith("Size") ? `${formatCount(value)} (${formatBytes(value)})` : String(value);
}
