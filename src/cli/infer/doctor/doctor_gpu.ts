/** What `infer.ts doctor` says of the GPU. */

import { type Gpu, openGpu } from "../../../gpu/device.ts";
import { Staging } from "../../../gpu/readback.ts";
import { describeSteps } from "../../../webgpu/fused/grid.ts";
import { formatBytes, formatCount } from "../../terminal/format.ts";

interface ReadbackReport {
  /** "blocking" where the data is there as soon as it is asked for, "promise" where it must be awaited. */
  readonly path: "blocking" | "promise";
  readonly blockingMs: number;
  readonly promiseMs: number;
}

/** A GPU, or what computes in the place of one. */
export interface GpuReport {
  readonly backend: "webgpu";
  /** What the adapter calls itself. */
  readonly device: string;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
  /** What else there is to know of it, in words. */
  readonly note: string | undefined;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
  readonly readback: ReadbackReport;
  /** How single steps run. */
  readonly steps: string;
}

const LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/**
 * Describes the GPU that WebGPU gives.
 *
 * @throws {UnsupportedDeviceError} If there is no adapter.
 */
export async function describeGpu(): Promise<GpuReport> {
  using gpu = await openGpu();
  const { limits, features } = gpu.device;
  return {
    backend: "webgpu",
    device: gpu.name,
    software: gpu.isSoftware,
    note: gpu.note,
    limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    features: [...features].sort(),
    readback: await measureReadback(gpu),
    steps: await describeSteps(gpu),
  };
}

/** A line a fact. */
export function gpuLines(
  { device, note, limits, features, readback, steps }: GpuReport,
): string[] {
  return [
    `adapter    ${device}${note === undefined ? "" : `, ${note}`}`,
    ...Object.entries(limits).map(([name, value]) =>
      `limit      ${name} ${formatLimit(name, value)}`
    ),
    `features   ${features.join(", ") || "none"}`,
    `readback   ${describeReadback(readback)}`,
    `steps      ${steps}`,
  ];
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

function formatLimit(name: string, value: number): string {
  return name.endsWith("Size") ? `${formatCount(value)} (${formatBytes(value)})` : String(value);
}
