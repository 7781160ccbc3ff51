/** How many workgroups of one dispatch can wait for each other on a device: found out by trying. */

import type { Gpu } from "../../gpu/device.ts";
import { encode, Program } from "../../gpu/program.ts";
import { Staging } from "../../gpu/readback.ts";
import { createTensor, type Tensor } from "../../gpu/tensor.ts";
import { ownParts } from "../../runtime/own_parts.ts";
import { gridProbe, gridProbeWords } from "../../ops/grid_probe.ts";
import { GRID_WORDS, TIMED_OUT } from "../../ops/step.ts";

/** What was found. */
export interface GridFinding {
  /** The most workgroups that meet quickly; 0 if not even two do. */
  readonly groups: number;
  /** What a meeting of so many takes. */
  readonly microseconds: number;
}

/** Lanes of a workgroup: of 256, 384 and 512 the quickest on an H100. */
export const STEP_LANES = 384;

/** Numbers that are tried, until one is slow: there are as many workgroups at once as multiprocessors, or not quite. */
const TRIED = [8, 16, 32, 64, 96, 128] as const;

/** Meetings that are timed, so many that what comes before and after them does not count. */
const ROUNDS = 512;

/** A number is too large if its meetings take so many times as long as the quickest: some share a multiprocessor then. */
const TOO_SLOW = 2;

/** Looks until a workgroup gives up, and on a software adapter. */
const [PATIENCE, SOFTWARE_PATIENCE] = [2 ** 13, 2 ** 10];

const FINDINGS = new WeakMap<Gpu, Map<number, Promise<GridFinding>>>();

/** The numbers to try with another kernel, the most first: one with more registers may not run as often at once. */
export function numbersUpTo(groups: number): number[] {
  return TRIED.filter((number) => number <= groups && number >= groups / 4).toReversed();
}

/** Tries it, once for each device and number of lanes. */
export function findGrid(gpu: Gpu, lanes: number): Promise<GridFinding> {
  const byLanes = FINDINGS.get(gpu) ?? new Map<number, Promise<GridFinding>>();
  FINDINGS.set(gpu, byLanes);
  const finding = byLanes.get(lanes) ?? probe(gpu, lanes);
  byLanes.set(lanes, finding);
  return finding;
}

/** How single steps run on a device, in words. */
export async function describeSteps(gpu: Gpu): Promise<string> {
  if (gpu.isSoftware) {
    const microseconds = await meetingTime(gpu, { groups: 2, lanes: 64 }, SOFTWARE_PATIENCE);
    const finding = microseconds === undefined
      ? "waited for each other in vain"
      : `met in ${microseconds.toFixed(0)} us`;
    return `a list of dispatches (on a software adapter always: 2 workgroups ${finding})`;
  }
  const { groups, microseconds } = await findGrid(gpu, STEP_LANES);
  if (groups === 0) return "a list of dispatches (workgroups waited for each other in vain)";
  return `whole in one dispatch where a model's are quicker so: ` +
    `${groups} workgroups meet in ${microseconds.toFixed(1)} us`;
}

async function probe(gpu: Gpu, lanes: number): Promise<GridFinding> {
  let best: GridFinding = { groups: 0, microseconds: Infinity };
  let quickest = Infinity;
  for (const groups of TRIED) {
    const microseconds = await meetingTime(gpu, { groups, lanes });
    quickest = Math.min(quickest, microseconds ?? Infinity);
    if (microseconds === undefined || microseconds > TOO_SLOW * quickest) break;
    best = { groups, microseconds };
  }
  return best;
}

/** Microseconds of a meeting, or undefined if one was in vain or somebody read something else than was written. */
export async function meetingTime(
  gpu: Gpu,
  { groups, lanes }: { readonly groups: number; readonly lanes: number },
  patience = PATIENCE,
): Promise<number | undefined> {
  const staging = await Staging.create(gpu, 8);
  const probe = ownParts((own) => {
    own(staging);
    const exchange = own(createTensor(gpu, "exchange", [gridProbeWords(groups)]));
    const result = own(createTensor(gpu, "result", [1]));
    const program = own(new Program(gpu));
    gridProbe(program, { exchange, result }, {
      ...{ groups, lanes, rounds: ROUNDS, patience, label: "grid_probe" },
    });
    return { exchange, result, program };
  });
  try {
    return await quickestMeeting(gpu, probe, staging);
  } finally {
    probe[Symbol.dispose]();
  }
}

async function quickestMeeting(
  gpu: Gpu,
  { exchange, result, program }: {
    readonly exchange: Tensor;
    readonly result: Tensor;
    readonly program: Program;
  },
  staging: Staging,
): Promise<number | undefined> {
  const timedOut = { buffer: exchange.buffer, offset: 4 * TIMED_OUT };
  let microseconds = Infinity;
  for (let run = 0; run < 3; run++) {
    const commands = encode(gpu, [program], {
      clear: [{ buffer: exchange.buffer, offset: 0, sizeBytes: 4 * GRID_WORDS }],
      after: [
        { from: result, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: 4 },
        { from: timedOut, to: { buffer: staging.buffer, offset: 4 }, sizeBytes: 4 },
      ],
    });
    const start = performance.now();
    gpu.device.queue.submit([commands]);
    const bytes = await staging.read(8);
    if (bytes.some((byte) => byte !== 0)) return undefined;
    microseconds = Math.min(microseconds, (performance.now() - start) * 1000 / ROUNDS);
  }
  return microseconds;
}
