import { Random } from "../../../src/checks/random.ts";
import {
  mamba3GateFwd,
  type Mamba3Inputs,
  mamba3InputsFwd,
  mamba3ScanFwd,
  type Mamba3Shape,
  mamba3SumsFwd,
} from "../../../src/checks/reference/mamba3.ts";
import {
  mamba3GateBwd,
  mamba3InputsBwd,
  mamba3ScanBwd,
  swigluBwd,
} from "../../../src/checks/reference/mamba3_bwd.ts";
import { swigluFwd } from "../../../src/checks/reference/swiglu.ts";
import { assertClose } from "../../assert_close.ts";
import { assertGradients, weightedSum } from "./central_differences.ts";

const random = new Random(9);
const normal = (length: number) => Float64Array.from(random.normal(length));

/** By the names that assertGradients() takes; what is undefined is left out. */
function named(gradients: Record<string, Float64Array | undefined>): Record<string, Float64Array> {
  return Object.fromEntries(
    Object.entries(gradients).flatMap(([name, values]) =>
      values === undefined ? [] : [[`grad_${name}`, values]]
    ),
  );
}

for (const is_mimo of [false, true]) {
  for (const A_activation of ["heavy_tail", "softplus"] as const) {
    const shape: Mamba3Shape = {
      ...{ batch: 2, seqlen: 3, nheads: 4, headdim: 2, d_state: 4, ngroups: 2 },
      ...{ mimo_rank: is_mimo ? 2 : 1, is_mimo, num_rope_angles: is_mimo ? 2 : 1 },
      ...{ A_activation, A_floor: 0.4, eps: 1e-5 },
    };
    const { batch, seqlen, nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles } = shape;
    const rows = batch * seqlen;
    const name = `${is_mimo ? "MIMO" : "SISO"}, ${A_activation}`;
    const data = (): Record<Exclude<keyof Mamba3Inputs, "theta" | "mimo_x">, Float64Array> & {
      mimo_x: Float64Array;
    } => ({
      x: normal(rows * nheads * headdim),
      B: normal(rows * mimo_rank * ngroups * d_state),
      C: normal(rows * mimo_rank * ngroups * d_state),
      dd_dt: normal(rows * nheads),
      dd_A: normal(rows * nheads),
      trap: normal(rows * nheads),
      angles: normal(rows * num_rope_angles),
      dt_bias: normal(nheads),
      B_norm: normal(d_state),
      C_norm: normal(d_state),
      B_bias: normal(nheads * mimo_rank * d_state),
      C_bias: normal(nheads * mimo_rank * d_state),
      mimo_x: normal(is_mimo ? nheads * mimo_rank * headdim : 0),
    });
    const theta = normal(batch * nheads * num_rope_angles);
    const withTheta = (inputs: Omit<Mamba3Inputs, "theta">): Mamba3Inputs => ({
      ...inputs,
      mimo_x: is_mimo ? inputs.mimo_x : undefined,
      theta,
    });
    const carried = {
      ssm_state: normal(batch * nheads * headdim * d_state),
      k: normal(batch * mimo_rank * nheads * d_state),
      v: normal(batch * mimo_rank * nheads * headdim),
    };

    Deno.test(`both forms of Mamba-3's recurrence give the same: ${name}`, () => {
      const inputs = data();
      const D = normal(nheads);
      const steps = mamba3InputsFwd(withTheta(inputs), shape);
      const { y } = mamba3ScanFwd(steps, D, carried, shape);
      const sums = mamba3SumsFwd(steps, D, carried, shape).y;
      assertClose(sums, y, { rtol: 1e-12, atol: 1e-12, name: "y" });
    });

    Deno.test(`mamba3ScanBwd() and mamba3InputsBwd() are gradients: ${name}`, () => {
      const inputs = data();
      const D = normal(nheads);
      const grad_y = normal(rows * mimo_rank * nheads * headdim);
      const all = withTheta(inputs);
      const steps = mamba3InputsFwd(all, shape);
      const scan = mamba3ScanBwd(steps, D, carried, grad_y, shape);
      const own = mamba3InputsBwd(all, steps, scan, shape);
      const gradients = named({
        ...own,
        mimo_x: own.mimo_x ?? normal(0),
        D: scan.D,
        ssm_state: scan.ssm_state,
        carried_v: scan.carried_v,
      });
      const { ssm_state, v: carried_v } = carried;
      assertGradients({ ...inputs, D, ssm_state, carried_v }, gradients, (moved) => {
        const { D, ssm_state, carried_v, ...others } = moved;
        const next = mamba3InputsFwd(withTheta(others), shape);
        const own = { ...carried, ssm_state, v: carried_v };
        return weightedSum(mamba3ScanFwd(next, D, own, shape).y, grad_y);
      });
    });

    Deno.test(`mamba3GateBwd() is the gradient of mamba3GateFwd(): ${name}`, () => {
      const weights = nheads * mimo_rank * headdim;
      for (const hasNorm of [false, true]) {
        const inputs = {
          y: normal(rows * mimo_rank * nheads * headdim),
          z: normal(rows * nheads * headdim),
          mimo_z: normal(is_mimo ? weights : 0),
          mimo_o: normal(is_mimo ? weights : 0),
          norm: normal(hasNorm ? nheads * headdim : 0),
        };
        const present = (all: Readonly<Record<keyof typeof inputs, Float64Array>>) => ({
          ...all,
          ...(is_mimo ? {} : { mimo_z: undefined, mimo_o: undefined }),
          ...(hasNorm ? {} : { norm: undefined }),
        });
        const grad_out = normal(rows * nheads * headdim);
        const { mimo_z, mimo_o, norm, ...grads } = mamba3GateBwd(present(inputs), grad_out, shape);
        const none = normal(0);
        assertGradients(
          inputs,
          named({ ...grads, mimo_z: mimo_z ?? none, mimo_o: mimo_o ?? none, norm: norm ?? none }),
          (moved) => weightedSum(mamba3GateFwd(present(moved), shape), grad_out),
        );
      }
    });
  }
}

Deno.test("swigluBwd() is the gradient of swigluFwd()", () => {
  const shape = { rows: 3, width: 4 };
  const [x, grad_y] = [normal(24), normal(12)];
  assertGradients(
    { x },
    { grad_x: swigluBwd(x, grad_y, shape) },
    (moved) => weightedSum(swigluFwd(moved.x, shape), grad_y),
  );
});
