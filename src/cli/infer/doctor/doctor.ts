/** `infer.ts doctor`: what there is to run models on, and every kernel against the float64 oracle on each of it. */

import type { KernelCheck } from "../../../checks/kernel_check.ts";
import {
  type CheckResult,
  openBench,
  runCheckList,
  runChecks,
} from "../../../checks/run_checks.ts";
import { UnsupportedDeviceError } from "../../../model/errors.ts";
import type { Backend } from "../../../model/executor.ts";
import { describeGpu, gpuLines, type GpuReport } from "./doctor_gpu.ts";
import { kernelLines, type KernelReport, kernelReports } from "./doctor_kernels.ts";

/** What {@linkcode doctor} is told. */
export interface DoctorOptions {
  /** What to look at: "auto" is all there is. */
  readonly backend?: Backend | "auto" | undefined;
  /** Threads on the CPU; one a core if left out. */
  readonly threads?: number | undefined;
  /** Writes one object instead of lines. */
  readonly json: boolean;
  /** Where the report goes; it is given whole lines. */
  readonly write: (text: string) => void;
  /** What to run; every check there is if left out. */
  readonly checks?: readonly KernelCheck[];
}

/** The CPU executor, as it runs here. */
interface CpuReport {
  readonly backend: "cpu";
  readonly device: string;
  readonly build: string | undefined;
  readonly threads: number | undefined;
}

/** What an executor is, and how its kernels did. */
type ExecutorReport = (CpuReport | GpuReport) & {
  readonly passed: boolean;
  readonly kernels: readonly KernelReport[];
};

/**
 * Describes what runs models here, then runs every kernel check on it.
 *
 * @returns The exit code: 1 if what was asked for is not there, or a check fails.
 */
export async function doctor(options: DoctorOptions): Promise<number> {
  const { json, write } = options;
  const print = (line: string) => json || write(`${line}\n`);
  try {
    const devices = await describeDevices(options, print);
    print("\nkernels against the float64 oracle; an error of 1 is what is allowed");
    const executors: ExecutorReport[] = [];
    for (const device of devices) executors.push(await checkDevice(device, options, print));
    const passed = executors.every((executor) => executor.passed);
    if (json) write(`${JSON.stringify({ passed, executors }, null, 2)}\n`);
    return passed ? 0 : 1;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    write(
      json ? `${JSON.stringify({ passed: false, error: message }, null, 2)}\n` : `${message}\n`,
    );
    return 1;
  }
}

/** The CPU first: it is always there. */
async function describeDevices(
  { backend = "auto", threads }: DoctorOptions,
  print: (line: string) => void,
): Promise<readonly (CpuReport | GpuReport)[]> {
  const devices: (CpuReport | GpuReport)[] = [];
  if (backend !== "webgpu") {
    const cpu = await describeCpu(threads);
    print(`cpu        ${cpu.device} (the build "${cpu.build}")`);
    devices.push(cpu);
  }
  if (backend === "cpu") return devices;
  try {
    const gpu = await describeGpu();
    gpuLines(gpu).forEach(print);
    devices.push(gpu);
  } catch (error) {
    if (backend === "webgpu" || !(error instanceof UnsupportedDeviceError)) throw error;
    print("adapter    none: models run on the CPU");
  }
  return devices;
}

async function describeCpu(threads: number | undefined): Promise<CpuReport> {
  using bench = await openBench("cpu", { threads });
  return { backend: "cpu", device: bench.device, build: bench.build, threads: bench.threads };
}

async function checkDevice(
  device: CpuReport | GpuReport,
  options: DoctorOptions,
  print: (line: string) => void,
): Promise<ExecutorReport> {
  print(`\non ${device.device}`);
  const kernels: KernelReport[] = [];
  for await (const report of kernelReports(resultsOf(device.backend, options))) {
    kernels.push(report);
    kernelLines(report).forEach(print);
  }
  const failed = kernels.filter(({ passed }) => !passed).map(({ kernel }) => kernel);
  const passed = failed.length === 0;
  const count = kernels.reduce((sum, { checks }) => sum + checks, 0);
  print(
    passed
      ? `\nAll ${count} checks of ${kernels.length} kernels pass on ${device.device}`
      : `\nFAIL: ${failed.join(", ")} on ${device.device}. Its results cannot be trusted`,
  );
  return { ...device, passed, kernels };
}

async function* resultsOf(
  backend: Backend,
  { checks, threads }: DoctorOptions,
): AsyncGenerator<CheckResult, void, void> {
  if (checks === undefined) yield* runChecks({ backend, threads });
  else yield* runCheckList(checks, () => openBench(backend, { threads }));
}
