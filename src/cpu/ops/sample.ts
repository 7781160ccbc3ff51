/** sample_fwd: the next token of each batch entry. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { RING } from "../../model/sampler.ts";
import { roundUp } from "../../model/shapes.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { requireSize } from "./require_size.ts";

/** Words of one entry's settings, as encodeSettings() makes them. */
const SETTINGS_WORDS = 8;

/** Words of the histograms. */
const BINS = 4 * 256;

/** Draws tokens (batch) from logits (batch, vocab_size); id and log-probability also go to ring (batch, RING, 2). */
export function sampleFwd(
  program: CpuProgram,
  tensors: {
    settings: CpuTensor;
    logits: CpuTensor;
    seen: CpuTensor;
    tokens: CpuTensor;
    draws: CpuTensor;
    ring: CpuTensor;
  },
  shape: { batch: number; vocab_size: number; real_vocab_size: number; label: string },
): void {
  const { settings, logits, seen, tokens, draws, ring } = tensors;
  const { batch, vocab_size, real_vocab_size, label } = shape;
  const seenWords = Math.ceil(vocab_size / 32);
  requireSize(label, "settings", settings, batch * SETTINGS_WORDS);
  requireSize(label, "logits", logits, batch * vocab_size);
  requireSize(label, "seen", seen, batch * seenWords);
  requireSize(label, "tokens", tokens, batch);
  requireSize(label, "draws", draws, batch);
  requireSize(label, "ring", ring, batch * RING * 2);
  program.add({
    kind: OpKind.sample_fwd,
    items: batch,
    grain: 1,
    args: [
      ...[settings.address, logits.address, seen.address, tokens.address, draws.address],
      ...[ring.address, vocab_size, real_vocab_size, seenWords, RING],
    ],
    scratchBytes: (BINS + 2 * roundUp(real_vocab_size, 4)) * 4,
    label,
  });
}
