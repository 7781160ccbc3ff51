import { Random } from "../random.ts";
import { assertGradients, weightedSum } from "./central_differences.ts";
import { selectiveScanFwd } from "./selective_scan.ts";
import { selectiveScanBwd } from "./selective_scan_bwd.ts";

const random = new Random(3);
const normal = (length: number, std = 1) => Float64Array.from(random.normal(length, std));

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
