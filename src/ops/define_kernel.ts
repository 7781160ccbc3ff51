/** Kernels with the preludes that they name: what the op files declare theirs with. */

import { defineKernel as define, type Kernel, type KernelDeclaration } from "../gpu/kernel.ts";
import _angle from "../../kernels/_angle.wgsl" with { type: "text" };
import _channels from "../../kernels/_channels.wgsl" with { type: "text" };
import _chains from "../../kernels/_chains.wgsl" with { type: "text" };
import _conv from "../../kernels/_conv.wgsl" with { type: "text" };
import _exponentials from "../../kernels/_exponentials.wgsl" with { type: "text" };
import _grid from "../../kernels/_grid.wgsl" with { type: "text" };
import _linear from "../../kernels/_linear.wgsl" with { type: "text" };
import _mamba3_skip from "../../kernels/_mamba3_skip.wgsl" with { type: "text" };
import _mamba3_step from "../../kernels/_mamba3_step.wgsl" with { type: "text" };
import _math from "../../kernels/_math.wgsl" with { type: "text" };
import _matmul from "../../kernels/_matmul.wgsl" with { type: "text" };
import _matvec from "../../kernels/_matvec.wgsl" with { type: "text" };
import _matvec_rows from "../../kernels/_matvec_rows.wgsl" with { type: "text" };
import _s4_series from "../../kernels/_s4_series.wgsl" with { type: "text" };
import _s4_system from "../../kernels/_s4_system.wgsl" with { type: "text" };
import _s4 from "../../kernels/_s4.wgsl" with { type: "text" };
import _scan from "../../kernels/_scan.wgsl" with { type: "text" };
import _scan_step from "../../kernels/_scan_step.wgsl" with { type: "text" };
import _scan_sums from "../../kernels/_scan_sums.wgsl" with { type: "text" };
import _states from "../../kernels/_states.wgsl" with { type: "text" };
import _step from "../../kernels/_step.wgsl" with { type: "text" };
import _step_blocks from "../../kernels/_step_blocks.wgsl" with { type: "text" };
import _step_ends from "../../kernels/_step_ends.wgsl" with { type: "text" };
import _step_product from "../../kernels/_step_product.wgsl" with { type: "text" };
import _step_sample from "../../kernels/_step_sample.wgsl" with { type: "text" };
import _ssd from "../../kernels/_ssd.wgsl" with { type: "text" };
import _ssd_bwd from "../../kernels/_ssd_bwd.wgsl" with { type: "text" };
import _threshold from "../../kernels/_threshold.wgsl" with { type: "text" };
import _tile from "../../kernels/_tile.wgsl" with { type: "text" };
import _weight from "../../kernels/_weight.wgsl" with { type: "text" };

/** The text that goes before every kernel's. */
export const MATH_PRELUDE = _math;

/** What may go between it and a kernel, in this order: each one's head says what the kernel declares for it. */
const PRELUDES = {
  _angle,
  _weight,
  _chains,
  _matvec,
  _matvec_rows,
  _linear,
  _tile,
  _matmul,
  _conv,
  _channels,
  _s4,
  _s4_system,
  _s4_series,
  _scan,
  _states,
  _scan_step,
  _scan_sums,
  _ssd,
  _ssd_bwd,
  _mamba3_skip,
  _mamba3_step,
  _threshold,
  _exponentials,
  _grid,
  _step,
  _step_product,
  _step_ends,
  _step_sample,
  _step_blocks,
} as const;

/** Declares a kernel whose text follows `_math.wgsl` and the preludes that it names. */
export function defineKernel<B extends string, P extends string, O extends string>(
  spec: KernelDeclaration<B, P, O> & { readonly preludes?: readonly (keyof typeof PRELUDES)[] },
): Kernel<B, P, O> {
  const own = (spec.preludes ?? []).map((name) => [name, PRELUDES[name]]);
  return define({ ...spec, preludes: { _math, ...Object.fromEntries(own) } });
}
