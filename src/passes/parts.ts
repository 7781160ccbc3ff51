/** What can run inside a block, by the names of descriptors: one line each. */

import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { BlockPart } from "../model/mixers/mixer.ts";
import type { PassKinds } from "./kinds.ts";
import { mamba1 } from "./mixers/mamba1.ts";
import { mamba2 } from "./mixers/mamba2.ts";
import { mamba3 } from "./mixers/mamba3.ts";
import { mlp } from "./mixers/mlp.ts";
import { s4 } from "./mixers/s4.ts";
import type { OpSet } from "./op_set.ts";
import type { Part, PartTraining } from "./part.ts";

/** The parts of blocks over an executor's ops. */
export class Parts<K extends PassKinds> {
  /** What messages call the executor. */
  readonly #executor: string;
  readonly #parts: Map<string, Part<K>>;

  constructor(executor: string, ops: OpSet<K>) {
    this.#executor = executor;
    this.#parts = new Map<string, Part<K>>([
      ["mamba1", mamba1(ops)],
      ["mamba2", mamba2(ops)],
      ["mamba3", mamba3(ops)],
      ["mlp", mlp(ops)],
      ["s4d", s4(ops)],
      ["s4", s4(ops)],
    ]);
  }

  /** Adds one that is not of this package, for the descriptor of that name. */
  register(name: string, part: Part<K>): void {
    this.#parts.set(name, part);
  }

  /**
   * How a part runs.
   *
   * @throws {TypeError} If it does not.
   */
  of({ name }: BlockPart): Part<K> {
    const part = this.#parts.get(name);
    if (part === undefined) {
      throw new TypeError(`Cannot run "${name}" on ${this.#executor}: none is registered`);
    }
    return part;
  }

  /**
   * Refuses a model of which a part does not run, or not with its sizes.
   *
   * @throws {TypeError} If a part does not run at all.
   * @throws {RangeError} With the size and its limit.
   */
  requireSupported(config: ModelConfig): void {
    sharedByPart(config, (part) => this.of(part).requireSupported?.(config));
  }

  /**
   * How a part is trained.
   *
   * @throws {TypeError} If it cannot be.
   */
  trainingOf(part: BlockPart): PartTraining<K> {
    const { training } = this.of(part);
    if (training === undefined) {
      throw new TypeError(
        `Cannot train "${part.name}" on ${this.#executor}: it has no backward`,
      );
    }
    return training;
  }
}
