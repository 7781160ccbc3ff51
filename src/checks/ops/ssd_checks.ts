import type { SsdSizes } from "../../model/ssd_sizes.ts";
import { silu } from "../reference/activations.ts";
import { ssdFwd as reference, type SsdInputs } from "../reference/ssd.ts";
import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import { MAMBA2_130M, ODD_SSD, oracleShape, type SsdCase, ssdData } from "./ssd_data.ts";
import { stepsOf } from "./steps_of.ts";

/** The published kernels allow themselves 6e-4 and 2e-3. */
export const SSD: Limits = { rtol: 1e-4, atol: 1e-4 };

function sized(
  sizes: Partial<SsdSizes>,
  seqlen: number,
  { batch = 2, ...rest }: Partial<SsdCase> = {},
): SsdCase {
  const full = { ...ODD_SSD, ...sizes };
  const text = Object.entries({ ...full, batch, seqlen, ...rest })
    .map(([name, value]) => `${name} ${value}`).join(", ");
  return { name: text, sizes: full, batch, seqlen, ...rest };
}

/** Sizes of heads, groups and states around those of tiles and lanes. */
export const SSD_SIZES: readonly Partial<SsdSizes>[] = [
  { nheads: 1, ngroups: 1, headdim: 1, d_state: 1 },
  { nheads: 20, ngroups: 4, headdim: 4, d_state: 16 },
  { nheads: 4, ngroups: 1, headdim: 64, d_state: 64 },
  { nheads: 4, ngroups: 2, headdim: 65, d_state: 17 },
  { nheads: 2, ngroups: 2, headdim: 16, d_state: 128 },
  { nheads: 3, ngroups: 3, headdim: 17, d_state: 65 },
];

const OPTIONS: readonly Partial<SsdCase>[] = [
  { D_has_hdim: true },
  { dt_limit: [0.03, 0.07] },
  { reset: 8 },
  { reset: 100, batch: 3 },
];

const STEP_CASES: readonly (SsdCase & { gated?: boolean; packed?: boolean })[] = [
  { name: "mamba2-130m", sizes: MAMBA2_130M, batch: 1, seqlen: 1 },
  ...SSD_SIZES.map((sizes) => sized(sizes, 1)),
  ...OPTIONS.map((options) => sized({}, 1, options)),
  { ...sized({}, 1, { batch: 3 }), name: "gated", gated: true },
  {
    ...sized({}, 1, { batch: 3 }),
    name: "gated, x, B and C within zxbcdt",
    gated: true,
    packed: true,
  },
  {
    ...sized({ nheads: 4, headdim: 64, d_state: 64, ngroups: 2 }, 1, { batch: 3 }),
    name: "x, B and C within zxbcdt, rows of whole vec4s",
    packed: true,
  },
];

const STEP_CHECKS = STEP_CASES.map((each, seed): KernelCheck => ({
  kernel: "ssd_step",
  name: each.name,
  ...checkKernel(["ssdStep"], (run) => {
    const { sizes, batch, gated = false, packed = false } = each;
    const { xBC, zxbcdt, z, ...data } = ssdData(each, seed);
    const ssm_state = run.state(data.ssm_state);
    const y = run.output(z.length);
    const weights = {
      A_log: run.input(data.A_log),
      D: run.input(data.D),
      dt_bias: run.input(data.dt_bias),
    };
    const shape = { ...each, ...sizes, gated, label: "check" };
    const d_in_proj = zxbcdt.length / batch;
    const d_inner = z.length / batch;
    if (packed) {
      for (let i = 0; i < xBC.length; i++) {
        const width = xBC.length / batch;
        zxbcdt[Math.floor(i / width) * d_in_proj + d_inner + i % width] = xBC[i] ?? NaN;
      }
      const both = run.input(zxbcdt);
      run.ops.ssdStep(run.program, { xBC: both, zxbcdt: both, ...weights, ssm_state, y }, {
        ...shape,
        ldXBC: d_in_proj,
        xBCOffset: d_inner,
      });
    } else {
      const packs = { xBC: run.input(xBC), zxbcdt: run.input(zxbcdt) };
      run.ops.ssdStep(run.program, { ...packs, ...weights, ssm_state, y }, shape);
    }
    const expected = reference(data, oracleShape(each));
    const gate = (v: number, i: number) => gated ? v * silu(z[i] ?? NaN) : v;
    run.expect("y", y, expected.y.map(gate), SSD);
    run.expect("ssm_state", ssm_state, expected.ssm_state, SSD);
  }),
}));

/** Cases of the chunked form; chunk 0 is that of inference. */
const CHUNKED_CASES: readonly (SsdCase & { chunk: number })[] = [
  { name: "mamba2-130m, 17 steps", sizes: MAMBA2_130M, batch: 1, seqlen: 17, chunk: 0 },
  ...[0, 12].flatMap((chunk) => SSD_SIZES.map((sizes) => ({ ...sized(sizes, 18), chunk }))),
  { ...sized({}, 18), chunk: 7 },
  ...OPTIONS.map((options) => ({ ...sized({}, 70, options), chunk: 0 })),
  ...OPTIONS.map((options) => ({ ...sized({}, 33, options), chunk: 16 })),
  ...[1, 2, 3, 4, 5, 63, 64, 65, 129].map((seqlen) => ({ ...sized({}, seqlen), chunk: 0 })),
  ...[15, 16, 17].map((seqlen) => ({ ...sized({}, seqlen, { batch: 3 }), chunk: 0 })),
  ...[1, 50, 51, 130].map((seqlen) => ({ ...sized({}, seqlen, { batch: 1 }), chunk: 50 })),
  // Whole vec4s, but neither whole slices nor whole tiles.
  ...[0, 60].flatMap((chunk) =>
    [{}, { reset: 100 }].map((options) => ({
      ...sized({ headdim: 20, d_state: 36 }, 75, options),
      chunk,
    }))
  ),
  ...[100, 15, 16, 17].map((seqlen) => ({ ...sized({}, seqlen, { batch: 3 }), chunk: 16 })),
];

/** The state before each chunk, and the final one: (batch, chunks + 1, nheads, headdim, d_state). */
export function keptStates(
  inputs: SsdInputs & ReturnType<typeof ssdData>,
  each: SsdCase,
  chunk: number,
) {
  const { batch, seqlen } = each;
  const chunks = Math.ceil(seqlen / chunk);
  const size = inputs.ssm_state.length / batch;
  const kept = new Float64Array(batch * (chunks + 1) * size);
  let state: ArrayLike<number> = inputs.ssm_state;
  for (let slot = 0; slot <= chunks; slot++) {
    for (let i = 0; i < batch * size; i++) {
      kept[(Math.floor(i / size) * (chunks + 1) + slot) * size + i % size] = state[i] ?? NaN;
    }
    if (slot === chunks) break;
    const steps = [slot * chunk, Math.min(seqlen, (slot + 1) * chunk)] as const;
    const part = (name: "x" | "B" | "C" | "dt") => stepsOf(inputs[name], [batch, seqlen], steps);
    state = reference(
      { ...inputs, x: part("x"), B: part("B"), C: part("C"), dt: part("dt"), ssm_state: state },
      { ...oracleShape(each), seqlen: steps[1] - steps[0] },
    ).ssm_state;
  }
  return kept;
}

/** The initial state in slot 0 of (batch, slots, ...), the others holding NaN. */
export function inFirstSlot(
  state: Float32Array,
  batch: number,
  slots: number,
): Float32Array<ArrayBuffer> {
  const size = state.length / batch;
  const all = new Float32Array(batch * slots * size).fill(NaN);
  for (let b = 0; b < batch; b++) {
    all.set(state.subarray(b * size, (b + 1) * size), b * slots * size);
  }
  return all;
}

function recordChunked(
  run: KernelRun<"ssdFwd" | "ssdScratch">,
  each: SsdCase & { chunk: number },
  seed: number,
): void {
  const { sizes, batch, seqlen, chunk } = each;
  const { xBC, zxbcdt, ...data } = ssdData(each, seed);
  const y = run.output(data.x.length);
  const sized = run.ops.ssdScratch({ ...sizes, batch, seqlen, chunk });
  const slots = chunk > 0 ? Math.ceil(seqlen / chunk) + 1 : 1;
  const ssm_state = run.state(inFirstSlot(data.ssm_state, batch, slots));
  const tensors = {
    xBC: run.input(xBC),
    zxbcdt: run.input(zxbcdt),
    A_log: run.input(data.A_log),
    D: run.input(data.D),
    dt_bias: run.input(data.dt_bias),
    ssm_state,
    y,
    decays: run.scratch("decays", sized.decays),
    CB: run.scratch("CB", sized.CB),
    states: chunk > 0 ? undefined : run.scratch("states", sized.states),
  };
  run.ops.ssdFwd(run.program, tensors, { ...each, ...sizes, label: "check" });
  const expected = reference(data, oracleShape(each));
  run.expect("y", y, expected.y, SSD);
  const states = chunk > 0 ? keptStates({ ...data, xBC, zxbcdt }, each, chunk) : expected.ssm_state;
  run.expect("ssm_state", ssm_state, states, SSD);
}

const FWD_CHECKS = CHUNKED_CASES.map((each, seed): KernelCheck => ({
  kernel: "ssd_y_fwd",
  name: `${each.name}, chunk ${each.chunk}`,
  // Training's form, which keeps a state for every chunk, needs an executor that trains.
  ...(each.chunk > 0
    ? checkKernel(["ssdFwd", "ssdScratch", "ssdBwd"], (run) => recordChunked(run, each, seed))
    : checkKernel(["ssdFwd", "ssdScratch"], (run) => recordChunked(run, each, seed))),
}));

/** Checks of ssd_step, and of ssd_y_fwd after the kernels that it goes on from. */
export const SSD_CHECKS: readonly KernelCheck[] = [...STEP_CHECKS, ...FWD_CHECKS];
