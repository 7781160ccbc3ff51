/** Bursts of draws: of one sequence, whose next burst is prepared meanwhile, and of a company. */

import type { Gpu } from "../gpu/device.ts";
import { encode, type Program } from "../gpu/program.ts";
import { type Draws, RING, ringDraws } from "../model/sampler.ts";
import type { Company, Group } from "./company.ts";
import { type Seat, stateCopy, type WebGpuState } from "./executor_state.ts";
import type { Programs } from "./programs.ts";

/** Steps of a burst that go into one submit: the next ones are encoded while the GPU works on these. */
const PIECE = 8;

/** Bytes of a ring. */
const RING_BYTES = RING * 8;

/** What one sequence wants of a burst: see DrawRequest. */
export interface Burst {
  readonly state: WebGpuState;
  readonly steps: number;
  readonly consumeFirst: boolean;
  readonly keep: WebGpuState;
}

/** Runs bursts. */
export class Bursts {
  readonly #gpu: Gpu;
  readonly #programs: Programs;
  readonly #company: Company;

  constructor(gpu: Gpu, programs: Programs, company: Company) {
    this.#gpu = gpu;
    this.#programs = programs;
    this.#company = company;
  }

  /** The burst of one sequence. */
  async alone({ state, steps, consumeFirst, keep }: Burst): Promise<Draws> {
    const { queue } = this.#gpu.device;
    const staging = await state.staging(RING_BYTES);
    queue.submit([encode(this.#gpu, [], { before: [stateCopy(state, keep)] })]);
    keep.draws = state.draws;
    for (let done = 0; done < steps; done += PIECE) {
      const length = Math.min(PIECE, steps - done);
      const consumes = done > 0 || consumeFirst;
      const prepared = done === 0 ? state.prepared : undefined;
      const fits = prepared?.length === length && consumes;
      queue.submit([fits ? prepared.commands : this.#encodePiece(state, length, consumes)]);
    }
    const ring = { from: state.parts.ring, to: { buffer: staging.buffer, offset: 0 } };
    queue.submit([encode(this.#gpu, [], { after: [{ ...ring, sizeBytes: RING_BYTES }] })]);
    // The following burst is most likely as long as this one: it begins at once if its first piece is encoded by then.
    const length = Math.min(PIECE, steps);
    state.prepared = { length, commands: this.#encodePiece(state, length, true) };
    return takeDraws(await staging.read(RING_BYTES), 0, state, steps);
  }

  /**
   * The bursts of several sequences, step by step for all: each leaves with its last draw, and what its row holds after
   * that is nobody's.
   */
  async together(bursts: readonly Burst[]): Promise<Draws[]> {
    const gpu = this.#gpu;
    const { queue } = gpu.device;
    // A draw from logits that are there needs no step: it is made before the others begin.
    const drawing = bursts.filter(({ consumeFirst }) => !consumeFirst);
    const stepping = bursts
      .map(({ state, steps, consumeFirst }) => ({ state, steps: steps - Number(!consumeFirst) }))
      .filter(({ steps }) => steps > 0);
    const group = this.#company.of(bursts.length);
    const staging = await group.state.staging(bursts.length * RING_BYTES);
    const seated = stepping.map(({ state, steps }, row) => {
      if (state.settingsWords !== undefined) {
        group.state.settings.write(state.settingsWords, row * state.settingsWords.byteLength);
      }
      return { steps, seat: this.#company.seat(group, state, row) };
    });
    const begin = [
      ...drawing.map(({ state }) => this.#programs.sample(state)),
      ...seated.map(({ seat }) => seat.enter),
    ];
    const before = bursts.map(({ state, keep }) => stateCopy(state, keep));
    for (const { state, keep } of bursts) keep.draws = state.draws;
    queue.submit([encode(gpu, begin, { before })]);
    const most = Math.max(0, ...seated.map(({ steps }) => steps));
    for (let done = 0; done < most; done += PIECE) {
      const { prepared } = group.state;
      const fits = done === 0 && prepared !== undefined &&
        seated.every(({ steps }) => steps > PIECE);
      const end = Math.min(done + PIECE, most);
      queue.submit([fits ? prepared.commands : this.#encodeCompany(group, done, end, seated)]);
      if (fits) group.state.prepared = undefined;
    }
    const after = bursts.map(({ state }, index) => ({
      from: state.parts.ring,
      to: { buffer: staging.buffer, offset: index * RING_BYTES },
      sizeBytes: RING_BYTES,
    }));
    queue.submit([encode(gpu, [], { after })]);
    // As for one: only those who leave within their first piece are not known beforehand.
    if (most > PIECE && group.state.prepared === undefined) {
      const commands = this.#encodeCompany(group, 0, PIECE, []);
      group.state.prepared = { length: PIECE, commands };
    }
    const bytes = await staging.read(bursts.length * RING_BYTES);
    return bursts.map(({ state, steps }, index) =>
      takeDraws(bytes, index * RING_BYTES, state, steps)
    );
  }

  /** Steps (done, end] of a company, each of whose members leaves with its last one. */
  #encodeCompany(
    { state, activations }: Group,
    done: number,
    end: number,
    seated: readonly { readonly steps: number; readonly seat: Seat }[],
  ): GPUCommandBuffer {
    const step = this.#programs.step(state, activations);
    const sample = this.#programs.sample(state);
    const programs: Program[] = [];
    for (let at = done + 1; at <= end; at++) {
      programs.push(step, sample);
      for (const { steps, seat } of seated) if (steps === at) programs.push(seat.leave);
    }
    return encode(this.#gpu, programs);
  }

  #encodePiece(state: WebGpuState, steps: number, consumeFirst: boolean): GPUCommandBuffer {
    const programs: Program[] = [];
    for (let step = 0; step < steps; step++) {
      if (step > 0 || consumeFirst) programs.push(this.#programs.step(state));
      programs.push(this.#programs.sample(state));
    }
    return encode(this.#gpu, programs);
  }
}

/** The latest draws in a ring; the state has made so many more. */
export function takeDraws(
  bytes: Uint8Array<ArrayBuffer>,
  offset: number,
  state: WebGpuState,
  steps: number,
): Draws {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, 2 * RING);
  const draws = ringDraws(words, state.draws, steps);
  state.draws += steps;
  return draws;
}
