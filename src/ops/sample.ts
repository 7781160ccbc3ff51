/** sample_fwd: the next token of each batch entry, drawn on the GPU. */

import { RING, SETTINGS_WORDS } from "../model/sampler.ts";
import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/sample_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";

/** The kernel. */
export const sampleFwdKernel = defineKernel({
  name: "sample_fwd",
  source,
  preludes: ["_threshold", "_exponentials"],
  bindings: {
    settings: "read",
    logits: "read_write",
    seen: "read_write",
    tokens: "read_write",
    draws: "read_write",
    ring: "read_write",
  },
  params: {},
  overrides: ["VOCAB_SIZE", "REAL_VOCAB_SIZE", "SEEN_WORDS", "RING", "LANES"],
  sizes: ({ VOCAB_SIZE, SEEN_WORDS, RING }, [batch]) => ({
    settings: batch * SETTINGS_WORDS,
    logits: batch * VOCAB_SIZE,
    seen: batch * SEEN_WORDS,
    tokens: batch,
    draws: batch,
    ring: batch * RING * 2,
  }),
});

/** Draws tokens (batch) from logits (batch, vocab_size); id and log-probability also go to ring (batch, RING, 2). */
export function sampleFwd(
  program: Program,
  tensors: {
    settings: Tensor;
    logits: Tensor;
    seen: Tensor;
    tokens: Tensor;
    draws: Tensor;
    ring: Tensor;
  },
  shape: { batch: number; vocab_size: number; real_vocab_size: number; label: string },
): void {
  const { batch, vocab_size, real_vocab_size, label } = shape;
  const limit = program.gpu.device.limits.maxComputeInvocationsPerWorkgroup;
  // Seven arrays of 4 bytes a lane and the bins: 1024 lanes need 31 KiB, and 256 fit in every device's 16 KiB.
  const memory = program.gpu.device.limits.maxComputeWorkgroupStorageSize;
  const most = limit >= 1024 && memory >= 32768 ? 1024 : 256;
  const lanes = real_vocab_size > 4096 ? most : 256;
  program.add(sampleFwdKernel, {
    tensors,
    overrides: {
      VOCAB_SIZE: vocab_size,
      REAL_VOCAB_SIZE: real_vocab_size,
      SEEN_WORDS: Math.ceil(vocab_size / 32),
      RING,
      LANES: lanes,
    },
    params: {},
    workgroups: [batch, 1, 1],
    label,
  });
}
