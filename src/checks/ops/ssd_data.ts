import type { SsdSizes } from "../../model/ssd_sizes.ts";
import { Random } from "../random.ts";
import type { SsdInputs, SsdShape } from "../reference/ssd.ts";

/** A case of the recurrence of Mamba-2. */
export interface SsdCase {
  readonly name: string;
  readonly sizes: SsdSizes;
  readonly batch: number;
  readonly seqlen: number;
  readonly D_has_hdim?: boolean;
  readonly dt_limit?: readonly [number, number];
  /** What is added to dt_raw of every seventh step: such a step forgets all before it. */
  readonly reset?: number;
}

/** state-spaces/mamba2-130m. */
export const MAMBA2_130M: SsdSizes = { nheads: 24, headdim: 64, d_state: 128, ngroups: 1 };

/** Sizes that no tile divides, and several groups. */
export const ODD_SSD: SsdSizes = { nheads: 6, headdim: 5, d_state: 19, ngroups: 3 };

/** The shape that the oracle takes. */
export function oracleShape({ sizes, batch, seqlen, dt_limit }: SsdCase): SsdShape {
  return { ...sizes, batch, seqlen, dt_limit: dt_limit ?? [0, Infinity] };
}

type Arrays = Readonly<Record<Exclude<keyof SsdInputs, "D">, Float32Array<ArrayBuffer>>>;

/** Data of a case, f32, apart as the oracle reads them and packed as the kernels do. */
export interface SsdData extends Arrays {
  readonly random: Random;
  readonly D: Float32Array<ArrayBuffer>;
  readonly z: Float32Array<ArrayBuffer>;
  /** (batch, seqlen, [x, B, C]) */
  readonly xBC: Float32Array<ArrayBuffer>;
  /** (batch, seqlen, [z, NaN in place of what the convolution reads, dt]) */
  readonly zxbcdt: Float32Array<ArrayBuffer>;
}

/** Makes the data of a case. */
export function ssdData(
  { sizes, batch, seqlen, D_has_hdim, reset = 0 }: SsdCase,
  seed: number,
): SsdData {
  const { nheads, headdim, d_state, ngroups } = sizes;
  const random = new Random(seed);
  const rows = batch * seqlen;
  const d_inner = nheads * headdim;
  const x = random.normal(rows * d_inner);
  // As large as makes C . B about 1.
  const B = random.normal(rows * ngroups * d_state, d_state ** -0.25);
  const C = random.normal(rows * ngroups * d_state, d_state ** -0.25);
  const dt = random.normal(rows * nheads, 0.5)
    .map((v, i) => Math.floor(i / nheads) % 7 === 6 ? v + reset : v);
  const z = random.normal(rows * d_inner);
  const gap = new Float32Array(rows * (d_inner + 2 * ngroups * d_state)).fill(NaN);
  return {
    random,
    x,
    B,
    C,
    dt,
    z,
    dt_bias: random.dtBias(nheads),
    A_log: random.uniform(nheads, 0, Math.log(16)),
    D: random.uniform(D_has_hdim ? d_inner : nheads, 0.5, 1.5),
    ssm_state: random.normal(batch * d_inner * d_state, d_state ** -0.25),
    xBC: sideBySide(rows, [x, B, C]),
    zxbcdt: sideBySide(rows, [z, gap, dt]),
  };
}

/** Matrices of `rows` rows each as the columns of one. */
export function sideBySide(
  rows: number,
  parts: readonly ArrayLike<number>[],
): Float32Array<ArrayBuffer> {
  const widths = parts.map(({ length }) => length / rows);
  const width = widths.reduce((sum, each) => sum + each, 0);
  const all = new Float32Array(rows * width);
  let first = 0;
  for (const [i, part] of parts.entries()) {
    const own = widths[i] ?? NaN;
    for (let j = 0; j < part.length; j++) {
      all[Math.floor(j / own) * width + first + j % own] = part[j] ?? NaN;
    }
    first += own;
  }
  return all;
}
