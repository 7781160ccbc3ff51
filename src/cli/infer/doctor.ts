/** `infer.ts doctor`: what this device is, and every kernel against the float64 oracle on this very device. */

import { type Gpu, openGpu } from "../../gpu/device.ts";
import { Staging } from "../../gpu/readback.ts";
import { formatBytes, formatCount, formatDuration } from "../terminal/format.ts";

/** One comparison of a kernel with its oracle: src/checks/kernel_check.ts. */
export interface KernelCheck {
  /** The WGSL file's name. */
  readonly kernel: string;
  /** The case. */
  readonly name: string;
  /** Gives the worst error in units of what is allowed, so above 1 fails, and where it is. */
  run(gpu: Gpu): Promise<{ readonly worst: number; readonly detail: string }>;
}

/** What {@linkcode doctor} is told. */
export interface DoctorOptions {
  /** Writes one object instead of lines. */
  readonly json: boolean;
  /** Where the report goes; it is given whole lines. */
  readonly write: (text: string) => void;
  /** What to run; every check under src/checks if left out. */
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
  let gpu: Gpu | undefined;
  try {
    gpu = await openGpu();
    const { limits, features } = gpu.device;
    const software = gpu.isSoftware ? " (computes on the CPU: right, and slow)" : "";
    print(`adapter    ${gpu.name}${software}`);
    for (const name of LIMITS) print(`limit      ${name} ${formatLimit(name, limits[name])}`);
    print(`features   ${[...features].sort().join(", ") || "none"}`);
    const readback = await measureReadback(gpu);
    print(`readback   ${describeReadback(readback)}`);

    const checks = options.checks ?? await loadChecks();
    const kernels: KernelReport[] = [];
    print(`\nkernels against the float64 oracle; an error of 1 is what is allowed`);
    for (const kernel of new Set(checks.map(({ kernel }) => kernel))) {
      const own = checks.filter((check) => check.kernel === kernel);
      const { report, usable } = await runChecks(gpu, kernel, own);
      gpu = usable;
      kernels.push(report);
      describeKernel(report).forEach(print);
    }

    const failed = kernels.filter(({ passed }) => !passed).map(({ kernel }) => kernel);
    const passed = failed.length === 0;
    print(
      passed
        ? `\nAll ${checks.length} checks of ${kernels.length} kernels pass on ${gpu.name}`
        : `\nFAIL: ${failed.join(", ")} on ${gpu.name}. Its results cannot be trusted`,
    );
    if (json) {
      const report = {
        passed,
        adapter: gpu.name,
        software: gpu.isSoftware,
        limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
        features: [...features].sort(),
        readback,
        kernels,
      };
      write(`${JSON.stringify(report, null, 2)}\n`);
    }
    return passed ? 0 : 1;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    write(
      json ? `${JSON.stringify({ passed: false, error: message }, null, 2)}\n` : `${message}\n`,
    );
    return 1;
  } finally {
    gpu?.[Symbol.dispose]();
  }
}

async function loadChecks(): Promise<readonly KernelCheck[]> {
  // Only this command needs them, so they are no part of the program's module graph.
  const url = new URL("../../checks/kernel_checks.ts", import.meta.url).href;
  try {
    const module: { KERNEL_CHECKS: readonly KernelCheck[] } = await import(url);
    return module.KERNEL_CHECKS;
  } catch (error) {
    throw new Error(
      `Cannot check the kernels: ${url} cannot be loaded. Run doctor in a clone of the repository`,
      { cause: error },
    );
  }
}

/** Runs a kernel's checks. After one that throws, the others get a new device: the old one keeps its error. */
async function runChecks(
  gpu: Gpu,
  kernel: string,
  checks: readonly KernelCheck[],
): Promise<{ report: KernelReport; usable: Gpu }> {
  let usable = gpu;
  let worst = 0;
  const failures: { name: string; detail: string }[] = [];
  const start = performance.now();
  for (const check of checks) {
    try {
      const result = await check.run(usable);
      // NaN compares false with everything, and fails.
      if (!(result.worst <= worst)) worst = result.worst;
      if (!(result.worst <= 1)) {
        const detail = `${formatWorst(result.worst)} x what is allowed: ${result.detail}`;
        failures.push({ name: check.name, detail });
      }
    } catch (error) {
      worst = Infinity;
      const detail = error instanceof Error ? error.message : String(error);
      failures.push({ name: check.name, detail });
      usable[Symbol.dispose]();
      usable = await openGpu();
    }
  }
  const report = {
    kernel,
    passed: failures.length === 0,
    checks: checks.length,
    worst: Number.isFinite(worst) ? worst : null,
    elapsedMs: performance.now() - start,
    failures,
  };
  return { report, usable };
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
