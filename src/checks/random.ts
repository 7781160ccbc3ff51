/**
 * Seeded test data, rounded to f32, in the ranges that trained Mamba models have: A negative, dt
 * between 1e-3 and 1e-1 for the channel's bias alone.
 */

import type { MambaConfig } from "./reference/mamba.ts";

/** A seeded source of test data: the same seed gives the same values. */
export class Random {
  #state: number;

  /** @param seed Any 32-bit integer. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, 1), of 32 bits. */
  next(): number {
    // A Weyl sequence through the 32-bit finalizer of MurmurHash3: ample for test data.
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let v = this.#state;
    v = Math.imul(v ^ (v >>> 16), 0x85ebca6b);
    v = Math.imul(v ^ (v >>> 13), 0xc2b2ae35);
    return ((v ^ (v >>> 16)) >>> 0) / 2 ** 32;
  }

  /** Uniform in [low, high). */
  uniform(length: number, low: number, high: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => low + (high - low) * this.next());
  }

  /** Normal, mean 0. */
  normal(length: number, std = 1): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
      return std * radius * Math.cos(2 * Math.PI * this.next());
    });
  }

  /** Integers in [0, limit). */
  ids(length: number, limit: number): Uint32Array<ArrayBuffer> {
    return Uint32Array.from({ length }, () => Math.floor(limit * this.next()));
  }

  /** Weight of a linear layer, (out, in): normal, scaled so that outputs are as large as inputs. */
  linear(outFeatures: number, inFeatures: number): Float32Array<ArrayBuffer> {
    return this.normal(outFeatures * inFeatures, 1 / Math.sqrt(inFeatures));
  }

  /** Weight of a norm: around 1. */
  normWeight(length: number): Float32Array<ArrayBuffer> {
    return this.uniform(length, 0.5, 1.5);
  }

  /**
   * (d_inner, d_state): A = -exp(A_log) is -1 .. -d_state, as initialized, each moved by up to 20%.
   */
  A_log(d_inner: number, d_state: number): Float32Array<ArrayBuffer> {
    return Float32Array.from(
      { length: d_inner * d_state },
      (_, i) => Math.log(i % d_state + 1) + 0.4 * (this.next() - 0.5),
    );
  }

  /** Values whose softplus is log-uniform in [1e-3, 1e-1], as dt_proj.bias is initialized. */
  dtBias(length: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => {
      const dt = 10 ** (-3 + 2 * this.next());
      return dt + Math.log(-Math.expm1(-dt));
    });
  }

  /**
   * dt before softplus, (rows, d_inner): a bias for each channel, plus what dt_proj adds at each
   * step.
   */
  dt(rows: number, d_inner: number): Float32Array<ArrayBuffer> {
    const bias = this.dtBias(d_inner);
    const moved = this.normal(rows * d_inner, 0.5);
    return moved.map((v, i) => v + (bias[i % d_inner] ?? NaN));
  }

  /**
   * Every tensor of a model, by official name, lively enough that each part matters to the logits.
   */
  mambaWeights(config: MambaConfig): Record<string, Float32Array<ArrayBuffer>> {
    const { d_model, d_inner, d_state, d_conv, dt_rank, input, head } = config;
    const weights: Record<string, Float32Array<ArrayBuffer>> = {};
    if (input.kind === "embedding") {
      weights["backbone.embedding.weight"] = this.normal(input.vocab_size * d_model);
    } else {
      weights["backbone.input_proj.weight"] = this.linear(d_model, input.d_input);
      if (input.bias) weights["backbone.input_proj.bias"] = this.normal(d_model, 0.3);
    }
    for (let layer = 0; layer < config.n_layer; layer++) {
      const prefix = `backbone.layers.${layer}.`;
      weights[`${prefix}norm.weight`] = this.normWeight(d_model);
      weights[`${prefix}mixer.in_proj.weight`] = this.linear(2 * d_inner, d_model);
      weights[`${prefix}mixer.conv1d.weight`] = this.normal(d_inner * d_conv, 0.5);
      weights[`${prefix}mixer.x_proj.weight`] = this.linear(dt_rank + 2 * d_state, d_inner);
      weights[`${prefix}mixer.dt_proj.weight`] = this.linear(d_inner, dt_rank);
      weights[`${prefix}mixer.dt_proj.bias`] = this.dtBias(d_inner);
      weights[`${prefix}mixer.A_log`] = this.A_log(d_inner, d_state);
      weights[`${prefix}mixer.D`] = this.uniform(d_inner, 0.5, 1.5);
      weights[`${prefix}mixer.out_proj.weight`] = this.linear(d_model, d_inner);
      if (config.use_bias) {
        weights[`${prefix}mixer.in_proj.bias`] = this.normal(2 * d_inner, 0.3);
        weights[`${prefix}mixer.out_proj.bias`] = this.normal(d_model, 0.3);
      }
      if (config.use_conv_bias) {
        weights[`${prefix}mixer.conv1d.bias`] = this.normal(d_inner, 0.3);
      }
    }
    weights["backbone.norm_f.weight"] = this.normWeight(d_model);
    if (head.kind === "classifier") {
      weights["classifier.weight"] = this.linear(head.n_classes, d_model);
      if (head.bias) weights["classifier.bias"] = this.normal(head.n_classes, 0.3);
    } else if (!head.tied) {
      weights["lm_head.weight"] = this.linear(head.vocab_size, d_model);
    }
    return weights;
  }
}
