/** The backward half of a block's MLP. */

import type { MlpConfig } from "../../model/mixers/mlp.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { PartTraining } from "../part.ts";
import type { MlpActivation, MlpWeights } from "./mlp.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** How it is trained. */
export function mlpTraining<K extends PassKinds>(
  ops: OpSet<K>,
): PartTraining<K, MlpConfig, MlpWeights<K>, never, MlpActivation, "grad_gated" | "grad_hidden"> {
  return {
    // It has no state: this only has to be a length.
    chunk: ops.SSD_CHUNK,
    keeps: {},
    recomputed: new Set(["gated"] as const),

    scratchSizes({ d_intermediate }, { batch, seqlen }) {
      const rows = batch * seqlen;
      return { grad_gated: rows * d_intermediate, grad_hidden: 2 * rows * d_intermediate };
    },

    together: [],
    partialElements: () => 0,

    backward(program, config, tensors, label) {
      const { training, input, normed, gradOutput } = tensors;
      const { grad_gated, grad_hidden } = tensors.scratch;
      const { part: { fc1, fc2 }, norm } = tensors.weights;
      const { part: gradients, norm: grad_norm } = tensors.gradients;
      const { hidden: x, gated: y } = tensors.activations;
      const rows = training.shape.batch * training.shape.seqlen;
      const own = { rows, width: config.d_intermediate, label: `${label}.gate_bwd` };
      if (ops.recomputes) ops.swigluFwd(program, { x, y }, own);
      outProjBwd(
        ops,
        program,
        training,
        {
          x: y,
          grad_y: gradOutput,
          grad_x: grad_gated,
          weight: fc2,
          gradients: { weight: gradients.fc2, bias: undefined },
        },
        `${label}.fc2_bwd`,
      );
      ops.swigluBwd(program, { x, grad_y: grad_gated, grad_x: grad_hidden }, own);
      inProjBwd(ops, program, config, training, {
        ...{ input, normed, grad_y: grad_hidden, norm, grad_norm, weight: fc1 },
        gradients: { weight: gradients.fc1, bias: undefined },
      }, label);
    },
  };
}
