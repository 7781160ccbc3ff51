import { assertEquals } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { Random } from "../../../src/checks/random.ts";
import { assertGradients, weightedSum } from "./central_differences.ts";
import { dtBCNormFwd } from "../../../src/checks/reference/dt_bc_norm.ts";
import { dtBCNormBwd } from "../../../src/checks/reference/dt_bc_norm_bwd.ts";
import { gatedRmsNormFwd } from "../../../src/checks/reference/gated_rms_norm.ts";
import { gatedRmsNormBwd } from "../../../src/checks/reference/gated_rms_norm_bwd.ts";
import { rmsNormFwd } from "../../../src/checks/reference/rms_norm.ts";
import { ssdFwd } from "../../../src/checks/reference/ssd.ts";
import { ssdBwd } from "../../../src/checks/reference/ssd_bwd.ts";

const EXACT = { rtol: 1e-14, atol: 1e-14 };

const random = new Random(5);
const normal = (length: number) => Float64Array.from(random.normal(length));

for (const [seqlen, ngroups, D_has_hdim] of [[1, 1, false], [4, 2, true], [3, 4, false]] as const) {
  const name = `seqlen ${seqlen}, ngroups ${ngroups}, D ${D_has_hdim ? "with" : "without"} headdim`;
  Deno.test(`ssdBwd() is the gradient of ssdFwd(): ${name}`, () => {
    const [batch, nheads, headdim, d_state] = [2, 4, 3, 2];
    // Limits that some of the steps are beyond.
    const sizes = { batch, seqlen, nheads, headdim, d_state, ngroups };
    const shape = { ...sizes, dt_limit: [0.3, 2] as const };
    const rows = batch * seqlen;
    const inputs = {
      x: normal(rows * nheads * headdim),
      B: normal(rows * ngroups * d_state),
      C: normal(rows * ngroups * d_state),
      dt: normal(rows * nheads).map((v, i) => i === 1 ? 21 : 1.5 * v),
      dt_bias: normal(nheads),
      A_log: normal(nheads),
      D: normal(D_has_hdim ? nheads * headdim : nheads),
      ssm_state: normal(batch * nheads * headdim * d_state),
    };
    const grad_y = normal(rows * nheads * headdim);
    const grad_final_state = normal(inputs.ssm_state.length);
    const gradients = ssdBwd(inputs, grad_y, shape, grad_final_state);
    assertGradients(inputs, { ...gradients }, (moved) => {
      const { y, ssm_state } = ssdFwd(moved, shape);
      return weightedSum(y, grad_y) + weightedSum(ssm_state, grad_final_state);
    });
  });
}

Deno.test("ssdBwd() takes an absent gradient of the final state for zeros", () => {
  const shape = { batch: 1, seqlen: 2, nheads: 1, headdim: 2, d_state: 2, ngroups: 1 };
  const limited = { ...shape, dt_limit: [0, Infinity] as const };
  const inputs = {
    x: normal(4),
    B: normal(4),
    C: normal(4),
    dt: normal(2),
    dt_bias: normal(1),
    A_log: normal(1),
    D: normal(1),
    ssm_state: normal(4),
  };
  const grad_y = normal(4);
  assertEquals(
    ssdBwd(inputs, grad_y, limited),
    ssdBwd(inputs, grad_y, limited, [0, 0, 0, 0]),
  );
});

for (const norm_before_gate of [false, true]) {
  for (const hasWeight of [true, false]) {
    const name = `norm ${norm_before_gate ? "before" : "after"} gate, ${
      hasWeight ? "" : "no "
    }norm`;
    Deno.test(`gatedRmsNormBwd() is the gradient of gatedRmsNormFwd(): ${name}`, () => {
      const shape = { rows: 3, d_inner: 6, group_size: 3, eps: 0.5, norm_before_gate };
      const tensors = { y: normal(18), z: normal(18) };
      const weight = normal(6);
      const grad_out = normal(18);
      const { grad_y, grad_z, grad_weight } = gatedRmsNormBwd(
        tensors.y,
        tensors.z,
        hasWeight ? weight : undefined,
        grad_out,
        shape,
      );
      if (grad_weight === undefined) {
        assertGradients(
          tensors,
          { grad_y, grad_z },
          ({ y, z }) => weightedSum(gatedRmsNormFwd(y, z, undefined, shape), grad_out),
        );
      } else {
        const inputs = { ...tensors, weight };
        assertGradients(
          inputs,
          { grad_y, grad_z, grad_weight },
          (moved) => weightedSum(gatedRmsNormFwd(moved.y, moved.z, moved.weight, shape), grad_out),
        );
      }
    });
  }
}

Deno.test("gatedRmsNormFwd() with a gate of 1 is rmsNormFwd() of each group", () => {
  const [y, weight] = [normal(12), normal(6)];
  // silu(v) is 1 there.
  const z = new Float64Array(12).fill(1.2784645427610738);
  const shape = { rows: 2, d_inner: 6, group_size: 2, eps: 1e-5 };
  const groups = Float64Array.from({ length: 12 }, (_, i) => weight[i % 6] ?? NaN);
  const expected = Float64Array.from(
    { length: 12 },
    (_, i) => {
      const first = i - i % 2;
      const [x, w] = [y.subarray(first, first + 2), groups.subarray(first, first + 2)];
      return rmsNormFwd(x, w, { rows: 1, d_model: 2, eps: 1e-5 })[i % 2] ?? NaN;
    },
  );
  for (const norm_before_gate of [false, true]) {
    const found = gatedRmsNormFwd(y, z, weight, { ...shape, norm_before_gate });
    assertClose(found, expected, { name: `${norm_before_gate}`, ...EXACT });
  }
});

Deno.test("dtBCNormBwd() is the gradient of dtBCNormFwd()", () => {
  const shape = { rows: 2, dt_rank: 3, d_state: 4, eps: 0.5 };
  const grad = normal(22);
  const inputs = { x_dbl: normal(22) };
  assertGradients(
    inputs,
    dtBCNormBwd(inputs.x_dbl, grad, shape),
    ({ x_dbl }) => weightedSum(dtBCNormFwd(x_dbl, shape).x_dbl, grad),
  );
});
