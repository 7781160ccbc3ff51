/** Several sequences at once: rows of one larger state, which they are copied to before some steps and from after them. */

import type { ModelConfig } from "../model/config/config.ts";
import { type Activations, createActivations } from "../passes/activations.ts";
import type { Cpu } from "./machine/module.ts";
import type { CpuTensor } from "./machine/tensor.ts";
import type { CpuKinds } from "./op_set.ts";
import { cpuPlatform } from "./platform.ts";
import { CpuState } from "./state.ts";

/** The most sequences: with more, their rows of inputs no longer stay in a second cache beside the weights. */
export const COMPANY_MAX = 64;

/** What one number of rows works on. */
export interface Group {
  readonly state: CpuState;
  readonly activations: Activations<CpuKinds>;
}

/** Makes room for companies, and keeps it for the next one. */
export class Company implements Disposable {
  readonly #cpu: Cpu;
  readonly #config: ModelConfig;
  #group: Group | undefined;

  constructor(cpu: Cpu, config: ModelConfig) {
    this.#cpu = cpu;
    this.#config = config;
  }

  /** What exactly `count` sequences work on: every row is computed. */
  of(count: number): Group {
    if (this.#group?.state.batch !== count) {
      this[Symbol.dispose]();
      this.#group = {
        state: new CpuState(this.#cpu, this.#config, count),
        activations: createActivations(cpuPlatform(this.#cpu), this.#config, {
          rows: count,
          batch: 0,
        }),
      };
    }
    return this.#group;
  }

  [Symbol.dispose](): void {
    this.#group?.state[Symbol.dispose]();
    this.#group?.activations[Symbol.dispose]();
    this.#group = undefined;
  }
}

/** Copies a sequence's state, and how it draws, into a row. */
export function enterCompany(company: CpuState, state: CpuState, row: number): void {
  for (const { there, own } of rowParts(company, state, row)) there.copyFrom(own);
}

/** Copies a row back into a sequence's state. */
export function leaveCompany(company: CpuState, state: CpuState, row: number): void {
  for (const { there, own } of rowParts(company, state, row)) own.copyFrom(there);
}

/** The parts of a row, and those of the sequence that sits there. */
function rowParts(
  company: CpuState,
  state: CpuState,
  row: number,
): { there: CpuTensor; own: CpuTensor }[] {
  const names = [...state.layout.parts.keys()];
  const pairs = names.map((name) => [company.part(name), state.part(name)] as const);
  return [...pairs, [company.settings, state.settings] as const].map(([rows, own]) => ({
    there: rows.view(row * own.sizeBytes, own.shape),
    own,
  }));
}
