/** The oracle of Mamba-3 against scans that the official kernels computed, where that data lies beside the checkout. */

import { assert, assertEquals } from "@std/assert";
import { measureCloseness } from "../../../src/checks/closeness.ts";
import {
  mamba3GateFwd,
  mamba3InputsFwd,
  mamba3ScanFwd,
  type Mamba3Shape,
  mamba3SumsFwd,
  rotate,
} from "../../../src/checks/reference/mamba3.ts";
import { assertClose } from "../../assert_close.ts";
import { defined } from "../../defined.ts";
import { npzArrays } from "../../npz.ts";

const DATA = new URL("../../../../shared/data/mamba3/", import.meta.url);

/** Both forms of the oracle agree to this. */
const SAME = { rtol: 1e-9, atol: 1e-9 };

async function captured(name: string) {
  const bytes = await Deno.readFile(new URL(`${name}.npz`, DATA)).catch(() => undefined);
  return bytes && await npzArrays(bytes);
}

for (
  const name of [
    "siso_combined_00",
    "siso_combined_04",
    "siso_combined_05",

    "mimo_combined_09",
  ]
) {
  Deno.test(`the oracle's scan is that of the official kernels, as far as their bf16 goes: ${name}`, async () => {
    const arrays = await captured(`mamba3_${name}`);
    if (arrays === undefined) return;
    const array = (key: string) => defined(arrays[`kw_${key}`]);
    const is_mimo = name.startsWith("mimo");
    const [batch = NaN, seqlen = NaN] = array("V").shape;
    const [nheads = NaN, headdim = NaN] = array("V").shape.slice(2);
    const d_state = defined(array("Q").shape.at(-1));
    const mimo_rank = is_mimo ? defined(array("Q").shape[2]) : 1;
    const num_rope_angles = defined(array("Angles").shape.at(-1));
    const shape: Mamba3Shape = {
      ...{ batch, seqlen, nheads, headdim, d_state, ngroups: 1, mimo_rank, is_mimo },
      ...{ num_rope_angles, A_activation: "heavy_tail", A_floor: 1e-4, eps: 1e-5 },
    };
    const DT = array("DT").data;
    const zeros = (...sizes: number[]) => new Float64Array(sizes.reduce((a, b) => a * b, batch));
    // The kernels begin after the norms: dt, dt A and B and C are what they are given.
    const steps = mamba3InputsFwd({
      x: array("V").data,
      B: array("K").data,
      C: array("Q").data,
      dd_dt: zeros(seqlen, nheads),
      dd_A: zeros(seqlen, nheads),
      trap: zeros(seqlen, nheads),
      angles: zeros(seqlen, num_rope_angles),
      dt_bias: new Float64Array(nheads),
      B_norm: new Float64Array(d_state).fill(1),
      C_norm: new Float64Array(d_state).fill(1),
      B_bias: array("K_bias").data,
      C_bias: array("Q_bias").data,
      mimo_x: is_mimo ? array("MIMO_V").data : undefined,
      theta: zeros(nheads, num_rope_angles),
    }, shape);
    for (let i = 0; i < DT.length; i++) {
      const dt = defined(DT[i]);
      const lambda = 1 / (1 + Math.exp(-defined(array("Trap").data[i])));
      steps.dtA[i] = defined(array("ADT").data[i]);
      steps.gamma[i] = lambda * dt;
      steps.delta[i] = (1 - lambda) * dt;
    }
    const theta = new Float64Array(nheads * num_rope_angles);
    for (let row = 0; row < batch * seqlen; row++) {
      const [b, t] = [Math.floor(row / seqlen), row % seqlen];
      if (t === 0) theta.fill(0);
      for (let h = 0; h < nheads; h++) {
        const own = theta.subarray(h * num_rope_angles, (h + 1) * num_rope_angles);
        for (let j = 0; j < num_rope_angles; j++) {
          const angle = defined(array("Angles").data[(row * nheads + h) * num_rope_angles + j]);
          own[j] = defined(own[j]) +
            Math.PI * Math.tanh(angle) * defined(DT[(b * nheads + h) * seqlen + t]);
        }
        for (let r = 0; r < mimo_rank; r++) {
          for (const [to, from, bias] of [["k", "K", "K_bias"], ["q", "Q", "Q_bias"]] as const) {
            const first = (row * mimo_rank + r) * d_state;
            const biased = Float64Array.from(
              { length: d_state },
              (_, n) =>
                defined(array(from).data[first + n]) +
                defined(array(bias).data[(h * mimo_rank + r) * d_state + n]),
            );
            steps[to].set(
              rotate(biased, own, shape),
              ((row * mimo_rank + r) * nheads + h) * d_state,
            );
          }
        }
      }
    }
    const carried = {
      ssm_state: zeros(nheads, headdim, d_state),
      k: zeros(mimo_rank, nheads, d_state),
      v: zeros(mimo_rank, nheads, headdim),
    };
    const { y } = mamba3ScanFwd(steps, array("D").data, carried, shape);
    // Sums over all earlier steps take their time.
    if (seqlen < 64 && !is_mimo) {
      const sums = mamba3SumsFwd(steps, array("D").data, carried, shape);
      assertClose(sums.y, y, { ...SAME, name: "sums" });
    }
    const gated = mamba3GateFwd({
      y,
      z: array("Z").data,
      mimo_z: is_mimo ? array("MIMO_Z").data : undefined,
      mimo_o: is_mimo ? array("MIMO_Out").data : undefined,
      norm: undefined,
    }, shape);
    const out = defined(arrays.out).data;
    assertEquals(out.length, gated.length);
    // The official test's tolerance; and all in all what one rounding to bf16 makes, and not another.
    const scale = Math.sqrt(gated.reduce((sum, v) => sum + v * v, 0) / gated.length);
    assertClose(out, gated, { rtol: 5e-2, atol: 5e-2 * scale, name });
    assert(measureCloseness(out, gated, SAME).nmse < 2 ** -14);
  });
}
