/** runChecks: every kernel against the float64 oracle, on whatever this machine has to run it. */

import type { Backend } from "../model/executor.ts";
import type { Bench } from "./bench.ts";
import type { KernelCheck, Measurement } from "./kernel_check.ts";

/** Options of {@linkcode runChecks}. */
export interface RunChecksOptions {
  /**
   * What runs the kernels: "auto" is all there is, a GPU adapter first, and then the CPU.
   *
   * @default {"auto"}
   */
  readonly backend?: Backend | "auto" | undefined;
  /** Names of the kernels to check; all if left out. */
  readonly kernels?: readonly string[] | undefined;
  /** How many cases of each kernel to run, of those that the device can: the table's last ones, which are small; all if left out. */
  readonly cases?: number | undefined;
  /** Stops before the next check, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** A device of yours to use; it is not destroyed. With it, "auto" is WebGPU alone. */
  readonly device?: GPUDevice | undefined;
  /**
   * Threads that work on the CPU, this one among them.
   *
   * @default {one a core}
   */
  readonly threads?: number | undefined;
}

/** What {@linkcode runChecks} found in one check. */
export interface CheckResult {
  /** The kernel, by the name of its file. */
  readonly kernel: string;
  /** The case. */
  readonly name: string;
  /** What computed: the adapter's name, or the CPU in words. */
  readonly device: string;
  /** Whether the result is right. */
  readonly passed: boolean;
  /** The largest error in units of what is allowed: above 1, infinity and NaN fail. */
  readonly worst: number;
  /** Where that is, or what `error` says. */
  readonly detail: string;
  /** Why there is no result, where the device or a kernel was refused. */
  readonly error?: Error;
  /** Time that the check took, with what it compiled. */
  readonly elapsedMs: number;
}

/** Opens a device to check on; disposing frees it. */
export type OpenBench = () => Promise<Bench & Disposable>;

/**
 * Compares every kernel with a float64 oracle, over a table of cases: those that an executor has.
 *
 * @param options See {@linkcode RunChecksOptions}.
 * @returns The results as they come, those of a kernel one after the other.
 * @throws {TypeError} If there is no such backend.
 * @throws {RangeError} If there are no checks of a kernel that was named.
 * @throws {UnsupportedDeviceError} If WebGPU is asked for and there is no GPU adapter.
 *
 * @example What a device gets wrong
 * ```ts
 * import { runChecks } from "./run_checks.ts";
 *
 * for await (const check of runChecks({ kernels: ["rms_norm_fwd"] })) {
 *   if (!check.passed) console.log(check.device, check.kernel, check.name, check.detail);
 * }
 * ```
 */
export async function* runChecks(
  options: RunChecksOptions = {},
): AsyncGenerator<CheckResult, void, void> {
  const { backend = "auto" } = options;
  if (backend !== "auto" && backend !== "webgpu" && backend !== "cpu") {
    throw new TypeError(
      `Cannot check kernels: backend is "${backend}", expected auto, webgpu or cpu`,
    );
  }
  // Whoever runs no checks loads none.
  const { KERNEL_CHECKS } = await import("./kernel_checks.ts");
  for (const each of backend === "auto" ? await allBackends(options) : [backend]) {
    yield* runCheckList(KERNEL_CHECKS, () => openBench(each, options), options);
  }
}

async function allBackends({ device }: RunChecksOptions): Promise<readonly Backend[]> {
  if (device !== undefined) return ["webgpu"];
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  return adapter ? ["webgpu", "cpu"] : ["cpu"];
}

/**
 * Opens an executor to check; only that one is loaded.
 *
 * @throws {UnsupportedDeviceError} If it is WebGPU and there is no adapter.
 */
export async function openBench(
  backend: Backend,
  { device, threads }: Pick<RunChecksOptions, "device" | "threads"> = {},
): Promise<Bench & Disposable> {
  switch (backend) {
    case "webgpu": {
      const { openWebgpuBench } = await import("./webgpu_bench.ts");
      return await openWebgpuBench(device);
    }
    case "cpu": {
      const { openCpuBench } = await import("./cpu_bench.ts");
      return await openCpuBench(threads === undefined ? {} : { threads });
    }
  }
}

/** Runs these checks on what `open` opens, kernel by kernel. */
export async function* runCheckList(
  checks: readonly KernelCheck[],
  open: OpenBench,
  { kernels, cases, signal }: Pick<RunChecksOptions, "kernels" | "cases" | "signal"> = {},
): AsyncGenerator<CheckResult, void, void> {
  const byKernel = Map.groupBy(checks, ({ kernel }) => kernel);
  const unknown = kernels?.find((kernel) => !byKernel.has(kernel));
  if (unknown !== undefined) {
    throw new RangeError(
      `Cannot check "${unknown}": there is no such kernel, expected one of ` +
        [...byKernel.keys()].join(", "),
    );
  }
  let bench: Bench & Disposable | undefined;
  try {
    signal?.throwIfAborted();
    const { ops } = bench = await open();
    const chosen = [...byKernel].flatMap(([kernel, own]) => {
      if (kernels !== undefined && !kernels.includes(kernel)) return [];
      const possible = own.filter((check) => check.ops.every((name) => ops[name] !== undefined));
      return possible.slice(-(cases ?? possible.length));
    });
    for (const check of chosen) {
      signal?.throwIfAborted();
      bench ??= await open();
      const start = performance.now();
      const found = await measure(check, bench);
      const { kernel, name } = check;
      yield {
        kernel,
        name,
        device: bench.device,
        passed: found.worst <= 1,
        worst: found.worst,
        detail: found.detail,
        ...(found.error && { error: found.error }),
        elapsedMs: performance.now() - start,
      };
      if (found.error !== undefined) {
        // The device keeps its error, and would show it to the checks that follow.
        bench[Symbol.dispose]();
        bench = undefined;
      }
    }
  } finally {
    bench?.[Symbol.dispose]();
  }
}

async function measure(
  check: KernelCheck,
  bench: Bench,
): Promise<Measurement & { readonly error?: Error }> {
  try {
    return await check.run(bench);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    return { worst: Infinity, detail: error.message, error };
  }
}
