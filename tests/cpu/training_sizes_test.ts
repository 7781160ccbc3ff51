/** Past a tensor's end lies another's memory: every op of training refuses a tensor that is one element short. */

import { assertThrows } from "@std/assert";
import { createCpuMatrix, rowMatrix } from "../../src/cpu/machine/matrix.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { adamwUpdate } from "../../src/cpu/ops/training/adamw.ts";
import { conv1dBwd } from "../../src/cpu/ops/training/conv1d_bwd.ts";
import { crossEntropy } from "../../src/cpu/ops/training/cross_entropy.ts";
import { dropout } from "../../src/cpu/ops/training/dropout.ts";
import { dtBCNormBwd } from "../../src/cpu/ops/dt_bc_norm.ts";
import { matvecFwd } from "../../src/cpu/ops/linear.ts";
import { matmulBwdX } from "../../src/cpu/ops/training/linear_bwd.ts";
import { meanPoolBwd } from "../../src/cpu/ops/training/mean_pool_bwd.ts";
import { selectiveScanBwdSum } from "../../src/cpu/ops/training/selective_scan_bwd.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { LABEL, testSizes } from "./test_sizes.ts";

testSizes({
  name: "adamwUpdate",
  sizes: { weight: 5, grad: 5, m: 5, v: 5, clip: 2, schedule: 3 },
  record: (program, tensors) =>
    adamwUpdate(program, tensors, {
      ...{ size: 5, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, label: LABEL },
    }),
});

testSizes({
  name: "crossEntropy",
  sizes: { logits: 27, targets: 3, loss: 3 },
  record: (program, tensors) =>
    crossEntropy(program, tensors, {
      ...{ rows: 3, vocab_size: 9, real_vocab_size: 7, scale: 1, label: LABEL },
    }),
});

testSizes({
  name: "dropout",
  sizes: { x: 9, draw: 1, y: 9 },
  record: (program, tensors) =>
    dropout(program, tensors, { size: 9, probability: 0.5, seed: 1, site: 0, label: LABEL }),
});

testSizes({
  name: "dtBCNormBwd",
  sizes: { x_dbl: 26, rstd: 6, grad_x_dbl: 26 },
  record: (program, tensors) =>
    dtBCNormBwd(program, tensors, { rows: 2, dt_rank: 3, d_state: 5, label: LABEL }),
});

testSizes({
  name: "meanPoolBwd",
  sizes: { grad_y: 10, grad_x: 30 },
  record: (program, tensors) =>
    meanPoolBwd(program, tensors, { batch: 2, seqlen: 3, d_model: 5, label: LABEL }),
});

testSizes({
  name: "selectiveScanBwdSum",
  sizes: { partials: 4 * 6 * 2 * 8, grad_x_dbl: 6 * 13 },
  record: (program, tensors) =>
    selectiveScanBwdSum(program, tensors, {
      ...{ rows: 6, blocks: 4, d_state: 5, dt_rank: 3, label: LABEL },
    }),
});

Deno.test("conv1dBwd() refuses tensors that are too small", async () => {
  using cpu = await openCpu();
  using made = new DisposableStack();
  const program = made.use(new CpuProgram(cpu));
  const tensor = made.use(createCpuTensor(cpu, "tensor", [56]));
  const tensors = {
    ...{ x: tensor, weight: tensor, bias: tensor, conv_state: tensor, grad_y: tensor },
    ...{ grad_final: tensor, grad_x: tensor, grad_conv_state: tensor, grad_weight: tensor },
    ...{ grad_bias: tensor, partials: tensor },
  };
  const shape = { batch: 2, seqlen: 3, d_inner: 7, d_conv: 3, label: LABEL };
  conv1dBwd(program, tensors, shape);
  for (const name of Object.keys(tensors)) {
    assertThrows(
      () => conv1dBwd(program, { ...tensors, [name]: tensor.view(0, [6]) }, shape),
      RangeError,
      "has 6 elements, and the sizes given need",
    );
  }
});

Deno.test("products take weights of the layout they need alone", async () => {
  using cpu = await openCpu();
  using made = new DisposableStack();
  const program = made.use(new CpuProgram(cpu));
  const tensor = made.use(createCpuTensor(cpu, "tensor", [12]));
  const panels = made.use(createCpuMatrix(cpu, "weight", [3, 2], { dtype: "f32" }));
  assertThrows(
    () =>
      matmulBwdX(program, { grad_y: tensor, weight: panels, grad_x: tensor }, {
        ...{ rows: 2, label: LABEL },
      }),
    TypeError,
    `Cannot record ${LABEL}: its matrix is f32 in panels, and gradients need f32 in rows`,
  );
  const rows = rowMatrix(cpu, tensor, [3, 2], 4);
  assertThrows(
    () => matvecFwd(program, { x: tensor, weight: rows, y: tensor }, { rows: 1, label: LABEL }),
    TypeError,
    `Cannot record ${LABEL}: the rows of its weight lie one after the other, and it needs panels`,
  );
  assertThrows(
    () => rowMatrix(cpu, tensor, [4, 4]),
    RangeError,
    "Cannot make a matrix [4, 4] of rows of 4 over 12 elements",
  );
});
