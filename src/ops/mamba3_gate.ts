/** mamba3_gate_fwd: norm and gate of the recurrence's output, summed over ranks. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/mamba3_gate_fwd.wgsl" with { type: "text" };
import type { Mamba3Sizes } from "../model/mamba3_sizes.ts";
import { defineKernel } from "./define_kernel.ts";
import { mamba3Overrides } from "./mamba3_inputs.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel. */
export const mamba3GateFwdKernel = defineKernel({
  name: "mamba3_gate_fwd",
  source,
  bindings: {
    y: "read",
    zxBCdt: "read",
    mimo_z: "read",
    mimo_o: "read",
    weight: "read",
    out: "read_write",
  },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "HEADDIM", "RANK", "MIMO", "NORM", "D_IN_PROJ", "EPS"],
  sizes: ({ NHEADS, HEADDIM, RANK, MIMO, NORM, D_IN_PROJ }, [, seqlen, batch]) => {
    const [rows, d_inner] = [batch * seqlen, NHEADS * HEADDIM];
    return {
      y: rows * RANK * d_inner,
      zxBCdt: rows * D_IN_PROJ,
      mimo_z: MIMO * RANK * d_inner,
      mimo_o: MIMO * RANK * d_inner,
      weight: NORM * d_inner,
      out: rows * d_inner,
    };
  },
});

/**
 * out (batch, seqlen, d_inner) from y (batch, seqlen, mimo_rank, d_inner) and the gate z, which zxBCdt begins with.
 *
 * @param tensors mimo_z and mimo_o are there for MIMO; without a weight there is no norm.
 */
export function mamba3GateFwd(
  program: Program,
  tensors: {
    y: Tensor;
    zxBCdt: Tensor;
    mimo_z?: Tensor | undefined;
    mimo_o?: Tensor | undefined;
    weight?: Tensor | undefined;
    out: Tensor;
  },
  shape: Mamba3Sizes & { batch: number; seqlen: number; eps: number; label: string },
): void {
  const { batch, seqlen, nheads, eps, label } = shape;
  const { read } = placeholders(program.gpu);
  const { D_STATE: _, ...overrides } = mamba3Overrides(shape);
  program.add(mamba3GateFwdKernel, {
    tensors: {
      ...tensors,
      mimo_z: tensors.mimo_z ?? read,
      mimo_o: tensors.mimo_o ?? read,
      weight: tensors.weight ?? read,
    },
    overrides: { ...overrides, NORM: tensors.weight !== undefined, EPS: eps },
    params: { seqlen },
    workgroups: [nheads, seqlen, batch],
    label,
  });
}
