import { assertEquals } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { Random } from "../../../src/checks/random.ts";
import { adamwUpdate } from "../../../src/checks/reference/adamw_update.ts";
import { assertGradients, weightedSum } from "./central_differences.ts";
import { conv1dFwd } from "../../../src/checks/reference/conv1d.ts";
import { conv1dBwd } from "../../../src/checks/reference/conv1d_bwd.ts";
import { crossEntropy } from "../../../src/checks/reference/cross_entropy.ts";
import { embeddingFwd } from "../../../src/checks/reference/embedding.ts";
import { embeddingBwd } from "../../../src/checks/reference/embedding_bwd.ts";
import { clipFactor, globalNorm } from "../../../src/checks/reference/global_norm.ts";
import { matmulFwd } from "../../../src/checks/reference/matmul.ts";
import { matmulBwd } from "../../../src/checks/reference/matmul_bwd.ts";
import { meanPool } from "../../../src/checks/reference/mean_pool.ts";
import { meanPoolBwd } from "../../../src/checks/reference/mean_pool_bwd.ts";
import { rmsNormFwd } from "../../../src/checks/reference/rms_norm.ts";
import { rmsNormBwd } from "../../../src/checks/reference/rms_norm_bwd.ts";
import { selectiveScanFwd } from "../../../src/checks/reference/selective_scan.ts";
import { selectiveScanBwd } from "../../../src/checks/reference/selective_scan_bwd.ts";

const EXACT = { rtol: 1e-14, atol: 1e-14 };

const random = new Random(3);
const normal = (length: number) => Float64Array.from(random.normal(length));

Deno.test("matmulBwd() is the gradient of matmulFwd()", () => {
  const shape = { rows: 3, in: 4, out: 5 };
  const inputs = { x: normal(12), weight: normal(20), bias: normal(5) };
  const grad_y = normal(15);
  assertGradients(
    inputs,
    matmulBwd(inputs.x, inputs.weight, grad_y, shape),
    ({ x, weight, bias }) => weightedSum(matmulFwd(x, weight, bias, shape), grad_y),
  );
});

Deno.test("rmsNormBwd() is the gradient of rmsNormFwd()", () => {
  // An eps as large as the squares, so that its place in the formula shows.
  const shape = { rows: 3, d_model: 5, eps: 0.5 };
  const inputs = { x: normal(15), weight: normal(5) };
  const grad_y = normal(15);
  assertGradients(
    inputs,
    rmsNormBwd(inputs.x, inputs.weight, grad_y, shape),
    ({ x, weight }) => weightedSum(rmsNormFwd(x, weight, shape), grad_y),
  );
});

Deno.test("embeddingBwd() is the gradient of embeddingFwd(), ids that come twice or never too", () => {
  const shape = { vocab_size: 5, d_model: 3 };
  const ids = [4, 1, 4, 0, 4];
  const grad_y = normal(15);
  assertGradients(
    { weight: normal(15) },
    { grad_weight: embeddingBwd(ids, grad_y, shape) },
    ({ weight }) => weightedSum(embeddingFwd(ids, weight, shape), grad_y),
  );
});

// Shorter than the window: the final state then still holds columns of the initial one.
for (const [seqlen, d_conv] of [[1, 4], [2, 4], [5, 3], [3, 1]] as const) {
  Deno.test(`conv1dBwd() is the gradient of conv1dFwd(): seqlen ${seqlen}, d_conv ${d_conv}`, () => {
    const shape = { batch: 2, seqlen, d_inner: 3, d_conv };
    const inputs = {
      x: normal(2 * seqlen * 3),
      weight: normal(3 * d_conv),
      bias: normal(3),
      conv_state: normal(2 * 3 * d_conv),
    };
    const grad_y = normal(2 * seqlen * 3);
    const grad_final_state = normal(2 * 3 * d_conv);
    assertGradients(
      inputs,
      {
        ...conv1dBwd(
          inputs.x,
          inputs.weight,
          inputs.bias,
          inputs.conv_state,
          grad_y,
          shape,
          grad_final_state,
        ),
      },
      (moved) => {
        const found = conv1dFwd(moved.x, moved.weight, moved.bias, moved.conv_state, shape);
        return weightedSum(found.y, grad_y) + weightedSum(found.conv_state, grad_final_state);
      },
    );
  });
}

Deno.test("conv1dBwd() takes an absent bias for zeros, and an absent final gradient", () => {
  const shape = { batch: 1, seqlen: 3, d_inner: 2, d_conv: 2 };
  const [x, weight, conv_state, grad_y] = [normal(6), normal(4), normal(4), normal(6)];
  assertEquals(
    conv1dBwd(x, weight, undefined, conv_state, grad_y, shape),
    conv1dBwd(x, weight, [0, 0], conv_state, grad_y, shape, [0, 0, 0, 0]),
  );
});

for (const seqlen of [1, 5]) {
  Deno.test(`selectiveScanBwd() is the gradient of selectiveScanFwd(): seqlen ${seqlen}`, () => {
    const shape = { batch: 2, seqlen, d_inner: 3, d_state: 4 };
    const [rows, d_inner, d_state] = [2 * seqlen, 3, 4];
    const inputs = {
      u: normal(rows * d_inner),
      // Around 0 and past softplus's switch at 20, not only the small steps of trained models.
      dt: normal(rows * d_inner).map((v, i) => i === 1 ? 21 : v),
      A_log: Float64Array.from(random.A_log(d_inner, d_state)),
      B: normal(rows * d_state),
      C: normal(rows * d_state),
      D: normal(d_inner),
      z: normal(rows * d_inner),
      ssm_state: normal(2 * d_inner * d_state),
    };
    const grad_y = normal(rows * d_inner);
    const grad_final_state = normal(2 * d_inner * d_state);
    const gradients = selectiveScanBwd(inputs, grad_y, shape, grad_final_state);
    assertGradients(inputs, { ...gradients }, (moved) => {
      const { y, ssm_state } = selectiveScanFwd(moved, shape);
      return weightedSum(y, grad_y) + weightedSum(ssm_state, grad_final_state);
    });
  });
}

Deno.test("meanPoolBwd() is the gradient of meanPool(), from a running sum too", () => {
  const shape = { batch: 2, seqlen: 4, d_model: 3 };
  const inputs = { x: normal(24), sum: normal(6) };
  const [grad_y, grad_final_sum, count] = [normal(24), normal(6), 7];
  assertGradients(
    inputs,
    meanPoolBwd(grad_y, shape, count, grad_final_sum),
    ({ x, sum }) => {
      const { y, state } = meanPool(x, shape, { sum, count });
      return weightedSum(y, grad_y) + weightedSum(state.sum, grad_final_sum);
    },
  );
});

Deno.test("crossEntropy() gives the gradient of its own loss, and zeros for target -1", () => {
  const [shape, targets, factor] = [{ rows: 4, columns: 5 }, [2, -1, 0, 4], 1 / 3];
  const logits = normal(20);
  const { loss, grad_logits } = crossEntropy(logits, targets, shape, factor);
  assertEquals([loss[1], ...grad_logits.subarray(5, 10)], [0, 0, 0, 0, 0, 0]);
  assertGradients(
    { logits },
    { grad_logits },
    (moved) =>
      weightedSum(crossEntropy(moved.logits, targets, shape, 1).loss, [1, 1, 1, 1]) * factor,
  );
});

Deno.test("crossEntropy() does not overflow", () => {
  const { loss, grad_logits } = crossEntropy([1000, 0], [1], { rows: 1, columns: 2 }, 1);
  assertEquals([...loss, ...grad_logits], [1000, 1, -1]);
});

Deno.test("adamwUpdate() makes two steps of torch.optim.AdamW", () => {
  // torch.optim.AdamW in float64, lr 0.1, betas (0.9, 0.95), eps 1e-3, weight_decay 0.1.
  const settings = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.1 };
  const first = adamwUpdate(
    { weight: [0.5, -2], grad: [0.3, -4], m: [0, 0], v: [0, 0] },
    { ...settings, step: 1 },
  );
  assertClose(first.weight, [0.39533222591362127, -1.880024993751562], { name: "1", ...EXACT });
  // The clip factor is applied to the gradient before everything else.
  const second = adamwUpdate(
    { ...first, grad: [-0.2, 0.004] },
    { ...settings, step: 2, clipFactor: 0.5 },
  );
  assertClose(second.weight, [0.35113010659368044, -1.7934219659804775], { name: "2", ...EXACT });
});

Deno.test("globalNorm() takes all tensors together; clipFactor() is 1 below the limit", () => {
  assertEquals(globalNorm([[1, 2], [], [2, 4]]), 5);
  assertEquals(clipFactor(0.5, 1), 1);
  // torch.nn.utils.clip_grad_norm_ of [3, 4] to 0.7.
  const clipped = [3, 4].map((v) => v * clipFactor(5, 0.7));
  assertClose(clipped, [0.41999991600001674, 0.5599998880000223], { name: "clipped", ...EXACT });
});
