import type { Mamba3Sizes } from "../../model/mamba3_sizes.ts";
import { Random } from "../random.ts";
import { type Mamba3Inputs, mamba3InputsFwd, type Mamba3Shape } from "../reference/mamba3.ts";
import { sideBySide } from "./ssd_data.ts";

/** A case of the ops of Mamba-3. */
export interface Mamba3Case {
  readonly name: string;
  readonly sizes: Mamba3Sizes;
  readonly batch: number;
  readonly seqlen: number;
  readonly A_activation: "heavy_tail" | "softplus";
  /** What is added to dd_A of every seventh step: such a step forgets all before it. */
  readonly reset: number;
}

/** state-spaces/mamba3-siso-187m. */
const SISO_187M: Mamba3Sizes = {
  ...{ nheads: 24, headdim: 64, d_state: 128, ngroups: 1 },
  ...{ is_mimo: false, mimo_rank: 1, num_rope_angles: 32 },
};

/** Sizes that nothing divides, and several groups. */
export const ODD_SISO: Mamba3Sizes = {
  ...{ nheads: 6, headdim: 5, d_state: 18, ngroups: 3 },
  ...{ is_mimo: false, mimo_rank: 1, num_rope_angles: 4 },
};

/** The same with several inputs and outputs. */
export const ODD_MIMO: Mamba3Sizes = { ...ODD_SISO, is_mimo: true, mimo_rank: 3 };

/** A case, named by all its sizes. */
export function sized(
  sizes: Mamba3Sizes,
  seqlen: number,
  { batch = 2, A_activation = "heavy_tail", reset = 0 }: Partial<Mamba3Case> = {},
): Mamba3Case {
  const shape = { ...sizes, batch, seqlen, A_activation, reset };
  const name = Object.entries(shape).map(([name, value]) => `${name} ${value}`).join(", ");
  return { name, sizes, batch, seqlen, A_activation, reset };
}

/** The published shapes, and the edges of time, sizes and rates. */
export const MAMBA3_CASES: readonly Mamba3Case[] = [
  { ...sized(SISO_187M, 3, { batch: 1 }), name: "mamba3-siso-187m, 3 steps" },
  {
    ...sized({ ...SISO_187M, is_mimo: true, mimo_rank: 4 }, 2, { batch: 1 }),
    name: "mamba3-mimo-187m, 2 steps",
  },
  ...[1, 2, 15, 16, 17, 63, 64, 65, 129].map((seqlen) => sized(ODD_SISO, seqlen)),
  ...[1, 2, 15, 21, 22, 43].map((seqlen) => sized(ODD_MIMO, seqlen)),
  sized(ODD_SISO, 1, { batch: 5 }),
  sized({ ...ODD_SISO, num_rope_angles: 9 }, 20),
  sized({ ...ODD_MIMO, mimo_rank: 4, num_rope_angles: 9, headdim: 8, d_state: 20 }, 35),
  sized({ ...ODD_MIMO, mimo_rank: 1 }, 20),
  sized({ ...ODD_SISO, nheads: 2, ngroups: 1, headdim: 66, d_state: 68 }, 9),
  sized(ODD_SISO, 20, { A_activation: "softplus" }),
  sized(ODD_SISO, 70, { reset: 9000 }),
  sized(ODD_MIMO, 40, { reset: 200, batch: 3 }),
];

/** Sizes of a step, around those of its kernels' lanes. */
const STEP_SIZES: readonly Partial<Mamba3Sizes>[] = [
  {},
  { num_rope_angles: 9 },
  { headdim: 66, d_state: 68 },
  { headdim: 130, d_state: 2, num_rope_angles: 1 },
];

/** And with MIMO: ranks go in fours there. */
const MIMO_STEP_SIZES: readonly Partial<Mamba3Sizes>[] = [
  ...[1, 3, 4, 5, 16].map((mimo_rank) => ({ mimo_rank })),
  { num_rope_angles: 9, mimo_rank: 2 },
  { headdim: 66, d_state: 68 },
  { headdim: 130, d_state: 2, num_rope_angles: 1, mimo_rank: 4 },
];

/** Cases of a single step. */
export const MAMBA3_STEP_CASES: readonly Mamba3Case[] = [
  { ...sized(SISO_187M, 1, { batch: 1 }), name: "mamba3-siso-187m" },
  ...STEP_SIZES.flatMap((sizes) =>
    [1, 3].map((batch) => sized({ ...ODD_SISO, ...sizes }, 1, { batch }))
  ),
  sized(ODD_SISO, 1, { A_activation: "softplus" }),
  sized(ODD_SISO, 1, { batch: 8, reset: 9000 }),
  {
    ...sized({ ...SISO_187M, is_mimo: true, mimo_rank: 4 }, 1, { batch: 1 }),
    name: "mamba3-mimo-187m",
  },
  ...MIMO_STEP_SIZES.map((sizes, i) => sized({ ...ODD_MIMO, ...sizes }, 1, { batch: 1 + i % 3 })),
  sized(ODD_MIMO, 1, { A_activation: "softplus", reset: 9000, batch: 8 }),
];

/** Data of a case, f32: as the oracle reads them, and packed as the kernels do. */
export interface Mamba3Data extends Mamba3Inputs {
  readonly random: Random;
  readonly z: Float32Array<ArrayBuffer>;
  /** (batch, seqlen, [z, x, B, C, dd_dt, dd_A, trap, angles]) */
  readonly zxBCdt: Float32Array<ArrayBuffer>;
  readonly D: Float32Array<ArrayBuffer>;
  readonly mimo_z: Float32Array<ArrayBuffer> | undefined;
  readonly mimo_o: Float32Array<ArrayBuffer> | undefined;
  readonly ssm_state: Float32Array<ArrayBuffer>;
  /** (batch, mimo_rank, nheads, d_state) */
  readonly k: Float32Array<ArrayBuffer>;
  /** (batch, nheads, headdim) */
  readonly v: Float32Array<ArrayBuffer>;
  readonly weights: Readonly<
    Record<
      "dt_bias" | "B_norm" | "C_norm" | "B_bias" | "C_bias" | "theta",
      Float32Array<ArrayBuffer>
    >
  >;
  readonly mimo_x: Float32Array<ArrayBuffer> | undefined;
}

/** The shape that the oracle takes. */
export function oracleShape(
  { sizes, batch, seqlen, A_activation }: Mamba3Case,
): Mamba3Shape & { A_floor: number; eps: number } {
  return { ...sizes, batch, seqlen, A_activation, A_floor: 0.05, eps: 1e-5 };
}

/** Makes the data of a case. */
export function mamba3Data({ sizes, batch, seqlen, reset }: Mamba3Case, seed: number): Mamba3Data {
  const { nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles, is_mimo } = sizes;
  const random = new Random(seed);
  const rows = batch * seqlen;
  const d_inner = nheads * headdim;
  const d_bc = mimo_rank * ngroups * d_state;
  const z = random.normal(rows * d_inner);
  const x = random.normal(rows * d_inner);
  const B = random.normal(rows * d_bc);
  const C = random.normal(rows * d_bc);
  const dd_dt = random.normal(rows * nheads, 0.5);
  // As wide as the published models' are.
  const dd_A = random.normal(rows * nheads, 3)
    .map((v, i) => Math.floor(i / nheads) % 7 === 6 ? v + reset : v);
  const trap = random.normal(rows * nheads, 2);
  const angles = random.normal(rows * num_rope_angles);
  // As large as makes k . q about 1.
  const scale = d_state ** -0.25;
  const ofMimo = () => is_mimo ? random.uniform(mimo_rank * d_inner, 0.2, 1) : undefined;
  const bias = () => random.normal(nheads * mimo_rank * d_state, scale);
  const weights = {
    dt_bias: random.dtBias(nheads),
    B_norm: random.normWeight(d_state).map((v) => v * scale),
    C_norm: random.normWeight(d_state).map((v) => v * scale),
    B_bias: bias(),
    C_bias: bias(),
    theta: random.uniform(batch * nheads * num_rope_angles, -3, 3),
  };
  return {
    ...{ random, z, x, B, C, dd_dt, dd_A, trap, angles, ...weights, weights },
    zxBCdt: sideBySide(rows, [z, x, B, C, dd_dt, dd_A, trap, angles]),
    D: random.uniform(nheads, 0.5, 1.5),
    mimo_x: ofMimo(),
    mimo_z: ofMimo(),
    mimo_o: ofMimo(),
    ssm_state: random.normal(batch * d_inner * d_state, scale),
    k: random.normal(batch * mimo_rank * nheads * d_state, scale),
    v: random.normal(batch * d_inner),
  };
}

/** What the recurrence reads of a case, by the oracle. */
export function mamba3Steps(data: Mamba3Data, each: Mamba3Case) {
  const { batch } = each;
  const { nheads, headdim, mimo_rank } = each.sizes;
  const v = Float64Array.from({ length: batch * mimo_rank * nheads * headdim }, (_, i) => {
    const [lane, p] = [Math.floor(i / headdim), i % headdim];
    const h = lane % nheads;
    const r = Math.floor(lane / nheads) % mimo_rank;
    const b = Math.floor(lane / nheads / mimo_rank);
    const factor = data.mimo_x === undefined ? 1 : data.mimo_x[(h * mimo_rank + r) * headdim + p];
    return (data.v[(b * nheads + h) * headdim + p] ?? NaN) * (factor ?? NaN);
  });
  return {
    steps: mamba3InputsFwd(data, oracleShape(each)),
    carried: { ssm_state: data.ssm_state, k: data.k, v },
  };
}

/** dt, dt A, lambda dt and (1 - lambda) dt side by side, as the kernels have them. */
export function packedRates(steps: ReturnType<typeof mamba3InputsFwd>): Float32Array<ArrayBuffer> {
  const { dt, dtA, gamma, delta } = steps;
  return sideBySide(dt.length, [dt, dtA, gamma, delta]);
}

/** v, k and q side by side, as the kernels have them. */
export function packedVkq(
  { v, k, q }: ReturnType<typeof mamba3InputsFwd>,
  { sizes, batch, seqlen }: Mamba3Case,
): Float32Array<ArrayBuffer> {
  return sideBySide(batch * seqlen * sizes.mimo_rank, [v, k, q]);
}
