/** The state of sequences on the CPU: one range of the module's memory, in the bytes of stateLayout(). */

import type { ModelConfig } from "../model/config/config.ts";
import type { ExecutorState } from "../model/executor.ts";
import { SETTINGS_WORDS } from "../model/sampler.ts";
import { type StateLayout, stateLayout } from "../model/state_layout.ts";
import type { Cpu } from "./machine/module.ts";
import type { CpuProgram } from "./machine/program.ts";
import { type CpuTensor, createCpuTensor } from "./machine/tensor.ts";

/** What the executor on the CPU makes for the sequences of one session or batch. */
export class CpuState implements ExecutorState {
  readonly batch: number;
  readonly layout: StateLayout;
  /** All of it. */
  readonly buffer: CpuTensor;
  readonly tokens: CpuTensor;
  readonly draws: CpuTensor;
  readonly ring: CpuTensor;
  /** Undefined where inputs are no ids. */
  readonly seen: CpuTensor | undefined;
  readonly logits: CpuTensor;
  /** Undefined where the head reads the last step alone. */
  readonly pool_state: CpuTensor | undefined;
  /** What each half of a block carries, by name. */
  readonly halves: readonly Readonly<Record<string, CpuTensor>>[];
  /** How tokens are drawn: no part of what snapshots keep. */
  readonly settings: CpuTensor;
  /** Programs over this state, by what they do; the oldest goes first. */
  readonly programs: Map<string, CpuProgram> = new Map();

  constructor(cpu: Cpu, config: ModelConfig, batch: number) {
    this.batch = batch;
    this.layout = stateLayout(config, batch);
    this.buffer = createCpuTensor(cpu, "state", [this.layout.sizeBytes / 4]);
    this.settings = createCpuTensor(cpu, "settings", [batch * SETTINGS_WORDS]);
    this.tokens = this.part("tokens");
    this.draws = this.part("draws");
    this.ring = this.part("ring");
    this.seen = this.#keptPart("seen");
    this.logits = this.part("logits");
    this.pool_state = this.#keptPart("pool_state");
    this.halves = this.layout.halves.map((names) =>
      Object.fromEntries(Object.entries(names).map(([own, name]) => [own, this.part(name)]))
    );
  }

  /** A part of the buffer, by its name in the layout. */
  part(name: string): CpuTensor {
    const part = this.layout.parts.get(name);
    if (part === undefined) throw new RangeError(`Cannot find "${name}" in the state`);
    return this.buffer.view(part.offset, part.shape);
  }

  /** The same, where this model uses it. */
  #keptPart(name: string): CpuTensor | undefined {
    return this.layout.parts.get(name)?.isKept ? this.part(name) : undefined;
  }

  [Symbol.dispose](): void {
    for (const program of this.programs.values()) program[Symbol.dispose]();
    this.programs.clear();
    this.buffer[Symbol.dispose]();
    this.settings[Symbol.dispose]();
  }
}

/**
 * The state as this executor made it.
 *
 * @throws {TypeError} If another executor made it.
 */
export function asOurs(state: ExecutorState): CpuState {
  if (!(state instanceof CpuState)) throw new TypeError("Cannot use a state of another executor");
  return state;
}
