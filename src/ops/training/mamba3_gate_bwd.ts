/** mamba3_gate_bwd: the gradients of the norm and the gate of Mamba-3. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/mamba3_gate_bwd.wgsl" with { type: "text" };
import { GATE_ROWS, gatePartials } from "../../model/mamba3_partials.ts";
import type { Mamba3Sizes } from "../../model/mamba3_sizes.ts";
import { defineKernel } from "../define_kernel.ts";
import { mamba3Overrides } from "../mamba3_inputs.ts";
import { placeholders } from "../placeholders.ts";
import { sumPartials } from "../sum_partials.ts";

/** The kernel. */
export const mamba3GateBwdKernel = defineKernel({
  name: "mamba3_gate_bwd",
  source,
  bindings: {
    y: "read_write",
    zxBCdt: "read",
    mimo_z: "read",
    mimo_o: "read",
    weight: "read",
    grad_out: "read",
    grad_zxBCdt: "read_write",
    partials: "read_write",
  },
  params: { seqlen: "u32", o_start: "u32", weight_start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "RANK", "MIMO", "NORM", "D_IN_PROJ", "EPS", "ROWS"],
  sizes: (values, [, tiles, batch]) => {
    const { NHEADS, HEADDIM, RANK, MIMO, NORM, D_IN_PROJ, seqlen, weight_start } = values;
    const [rows, d_inner] = [batch * seqlen, NHEADS * HEADDIM];
    return {
      y: rows * RANK * d_inner,
      zxBCdt: rows * D_IN_PROJ,
      mimo_z: MIMO * RANK * d_inner,
      mimo_o: MIMO * RANK * d_inner,
      weight: NORM * d_inner,
      grad_out: rows * d_inner,
      grad_zxBCdt: rows * D_IN_PROJ,
      partials: NORM ? weight_start + tiles * batch * d_inner : MIMO * weight_start,
    };
  },
});

/**
 * Gradients of mamba3GateFwd(): that of y in its place, the columns of z in grad_zxBCdt, and those of weights that are there.
 *
 * @param tensors grad_out (batch, seqlen, d_inner). partials is scratch: see {@linkcode gatePartials}.
 */
export function mamba3GateBwd(
  program: Program,
  tensors: {
    y: Tensor;
    zxBCdt: Tensor;
    mimo_z?: Tensor | undefined;
    mimo_o?: Tensor | undefined;
    weight?: Tensor | undefined;
    grad_out: Tensor;
    grad_zxBCdt: Tensor;
    partials: Tensor;
    grad_mimo_z?: Tensor | undefined;
    grad_mimo_o?: Tensor | undefined;
    grad_weight?: Tensor | undefined;
  },
  shape: Mamba3Sizes & { batch: number; seqlen: number; eps: number; label: string },
): void {
  const { y, zxBCdt, mimo_z, mimo_o, weight, grad_out, grad_zxBCdt, partials } = tensors;
  const { batch, seqlen, nheads, headdim, mimo_rank, eps, label } = shape;
  const { tiles, parts, o_start, weight_start } = gatePartials(shape);
  const { read } = placeholders(program.gpu);
  const { D_STATE: _, ...overrides } = mamba3Overrides(shape);
  program.add(mamba3GateBwdKernel, {
    tensors: {
      ...{ y, zxBCdt, grad_out, grad_zxBCdt, partials },
      ...{ mimo_z: mimo_z ?? read, mimo_o: mimo_o ?? read, weight: weight ?? read },
    },
    overrides: { ...overrides, NORM: weight !== undefined, EPS: eps, ROWS: GATE_ROWS },
    params: { seqlen, o_start, weight_start },
    workgroups: [nheads, tiles, batch],
    label,
  });
  const sum = (name: string, start: number, size: number, gradient: Tensor | undefined) => {
    if (gradient === undefined) return;
    const own = partials.view(4 * start, [parts, size]);
    sumPartials(program, { partials: own, y: gradient }, {
      ...{ parts, size, label: `${label}.${name}` },
    });
  };
  const d_inner = nheads * headdim;
  sum("grad_mimo_z", 0, mimo_rank * d_inner, tensors.grad_mimo_z);
  sum("grad_mimo_o", o_start, mimo_rank * d_inner, tensors.grad_mimo_o);
  sum("grad_weight", weight_start, d_inner, tensors.grad_weight);
}
