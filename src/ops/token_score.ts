/** token_score_fwd: log-probability, rank and entropy of targets. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/token_score_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";

/** The kernel. */
export const tokenScoreFwdKernel = defineKernel({
  name: "token_score_fwd",
  source,
  bindings: { logits: "read", targets: "read", y: "write" },
  params: {},
  overrides: ["VOCAB_SIZE", "REAL_VOCAB_SIZE"],
  sizes: ({ VOCAB_SIZE }, [rows]) => ({ logits: rows * VOCAB_SIZE, targets: rows, y: rows * 3 }),
});

/** y (rows, 3) = log-probability, rank and entropy of targets (rows) under logits (rows, vocab_size). */
export function tokenScoreFwd(
  program: Program,
  tensors: { logits: Tensor; targets: Tensor; y: Tensor },
  shape: { rows: number; vocab_size: number; real_vocab_size: number; label: string },
): void {
  program.add(tokenScoreFwdKernel, {
    tensors,
    overrides: { VOCAB_SIZE: shape.vocab_size, REAL_VOCAB_SIZE: shape.real_vocab_size },
    params: {},
    workgroups: [shape.rows, 1, 1],
    label: shape.label,
  });
}
