/** The optimiser: gradients of a step's batches added up, their norm clipped, and AdamW over all parameters. */

import { ADAMW_SCHEDULE_SIZE, encodeAdamwSchedule } from "../../model/adamw.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { CLIP_SIZE, gradNormParts, NORM_PART } from "../../model/grad_norm.ts";
import { type ParameterLayout, parameterLayout } from "../../model/parameter_layout.ts";
import type { OptimiserSettings } from "../../model/training_executor.ts";
import type { PassKinds } from "../kinds.ts";
import type { Platform } from "../platform.ts";
import { createParameterSet, type ParameterSet } from "./parameters.ts";

/** Where a batch stands among those of its step. */
export interface Part {
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Parameters with what goes with them, all in the layout of the parameters. */
export class Optimiser<K extends PassKinds> implements Disposable {
  /** The layout. */
  readonly layout: ParameterLayout;
  /** The parameters. */
  readonly values: ParameterSet<K>;
  /** The gradients of the latest batch; after the last of a step, the sum over all. */
  readonly gradients: ParameterSet<K>;
  /** AdamW's averages of the gradient ... */
  readonly m: ParameterSet<K>;
  /** ... and of its square. */
  readonly v: ParameterSet<K>;
  /** The clip factor, and the norm before clipping. */
  readonly clip: K["tensor"];
  /** The norm's partial sums. */
  readonly partials: K["tensor"];
  readonly #platform: Platform<K>;
  readonly #settings: OptimiserSettings;
  readonly #schedule: K["tensor"];
  /** Sum of the gradients of a step's batches before the latest. */
  #sum: K["tensor"] | undefined;

  /** Allocates all of it, as zeros. */
  constructor(platform: Platform<K>, config: ModelConfig, settings: OptimiserSettings) {
    this.#platform = platform;
    this.#settings = settings;
    this.layout = parameterLayout(config, NORM_PART);
    const make = (label: string) => createParameterSet(platform, config, this.layout, label);
    this.values = make("weights");
    this.gradients = make("gradients");
    this.m = make("m");
    this.v = make("v");
    this.#schedule = platform.createTensor("schedule", [ADAMW_SCHEDULE_SIZE]);
    this.clip = platform.createTensor("clip", [CLIP_SIZE]);
    this.partials = platform.createTensor("norm_partials", [gradNormParts(this.layout.size)]);
  }

  /** Sets the step's number, from 1, and its learning rate, for updates that run later. */
  schedule(step: number, learningRate: number): void {
    this.#schedule.write(encodeAdamwSchedule(step, learningRate, this.#settings));
  }

  /** Records what follows a batch's gradients: adding them up, and after a step's last batch the update. */
  record(program: K["program"], { isFirst, isLast }: Part): void {
    if (!isFirst || !isLast) this.#recordSum(program, { isFirst, isLast });
    if (isLast) this.#recordUpdate(program);
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    const { values, gradients, m, v, clip, partials } = this;
    for (const owned of [values, gradients, m, v, clip, partials, this.#schedule, this.#sum]) {
      owned?.[Symbol.dispose]();
    }
  }

  #recordSum(program: K["program"], { isFirst, isLast }: Part): void {
    const { ops } = this.#platform;
    const { size } = this.layout;
    this.#sum ??= this.#platform.createTensor("gradient_sum", [size]);
    const [from, to] = isLast ? [this.#sum, this.gradients.flat] : [this.gradients.flat, this.#sum];
    ops.sumPartials(program, { partials: from, y: to }, {
      ...{ parts: 1, size, accumulate: !isFirst, label: "accumulation" },
    });
  }

  /** Norm and clip factor over all gradients, then AdamW over each range: with decay and without, and by its rate. */
  #recordUpdate(program: K["program"]): void {
    const { ops } = this.#platform;
    const { values, gradients, m, v, clip, partials } = this;
    const { maxNorm, weightDecay, beta1, beta2, eps } = this.#settings;
    const { ranges, size } = this.layout;
    // What lies between the tensors is 0, so that all of them are one.
    ops.gradNorm(program, { gradients: gradients.flat, partials, clip }, {
      size,
      maxNorm,
      label: "norm",
    });
    for (const { start, end, decays, learningRate: rate } of ranges) {
      const weight_decay = decays ? weightDecay : 0;
      const range = ({ flat }: ParameterSet<K>): K["tensor"] => flat.view(start * 4, [end - start]);
      ops.adamwUpdate(
        program,
        {
          weight: range(values),
          grad: range(gradients),
          m: range(m),
          v: range(v),
          clip,
          schedule: this.#schedule,
        },
        { beta1, beta2, eps, weight_decay, rate, size: end - start, label: "adamw" },
      );
    }
  }
}
