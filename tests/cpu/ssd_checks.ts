import { ssdFwd, type SsdSizes, ssdStep } from "../../src/cpu/ops/ssd.ts";
import { silu } from "../../src/checks/reference/activations.ts";
import { ssdFwd as reference } from "../../src/checks/reference/ssd.ts";
import { checkOp, type CpuCheck, type Limits } from "./cpu_check.ts";
import {
  MAMBA2_130M,
  ODD_SSD,
  oracleShape,
  type SsdCase,
  ssdData,
} from "../../src/checks/ops/ssd_data.ts";

/** The published kernels allow themselves 6e-4 and 2e-3. */
const SSD: Limits = { rtol: 1e-4, atol: 1e-4 };

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

/** Sizes of heads, groups and states around those of vectors. */
const SSD_SIZES: readonly Partial<SsdSizes>[] = [
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

const STEP_CHECKS = STEP_CASES.map((each, seed): CpuCheck => ({
  op: "ssdStep",
  name: each.name,
  run: checkOp((run) => {
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
      ssdStep(run.program, { xBC: both, zxbcdt: both, ...weights, ssm_state, y }, {
        ...shape,
        ldXBC: d_in_proj,
        xBCOffset: d_inner,
      });
    } else {
      const packs = { xBC: run.input(xBC), zxbcdt: run.input(zxbcdt) };
      ssdStep(run.program, { ...packs, ...weights, ssm_state, y }, shape);
    }
    const expected = reference(data, oracleShape(each));
    const gate = (v: number, i: number) => gated ? v * silu(z[i] ?? NaN) : v;
    run.expect("y", y, expected.y.map(gate), SSD);
    run.expect("ssm_state", ssm_state, expected.ssm_state, SSD);
  }),
}));

const FWD_CASES: readonly SsdCase[] = [
  { name: "mamba2-130m, 17 steps", sizes: MAMBA2_130M, batch: 1, seqlen: 17 },
  ...SSD_SIZES.map((sizes) => sized(sizes, 18)),
  ...OPTIONS.map((options) => sized({}, 70, options)),
  ...[1, 2, 3, 4, 5, 63, 64, 65, 129].map((seqlen) => sized({}, seqlen)),
  ...[15, 16, 17].map((seqlen) => sized({}, seqlen, { batch: 3 })),
  ...[{}, { reset: 100 }].map((options) => sized({ headdim: 20, d_state: 36 }, 75, options)),
];

const FWD_CHECKS = FWD_CASES.map((each, seed): CpuCheck => ({
  op: "ssdFwd",
  name: each.name,
  run: checkOp((run) => {
    const { xBC, zxbcdt, ...data } = ssdData(each, seed);
    const ssm_state = run.state(data.ssm_state);
    const y = run.output(data.x.length);
    const tensors = {
      xBC: run.input(xBC),
      zxbcdt: run.input(zxbcdt),
      A_log: run.input(data.A_log),
      D: run.input(data.D),
      dt_bias: run.input(data.dt_bias),
      ssm_state,
      y,
    };
    ssdFwd(run.program, tensors, { ...each, ...each.sizes, label: "check" });
    const expected = reference(data, oracleShape(each));
    run.expect("y", y, expected.y, SSD);
    run.expect("ssm_state", ssm_state, expected.ssm_state, SSD);
  }),
}));

/** Checks of ssdStep() and ssdFwd(). */
export const SSD_CHECKS: readonly CpuCheck[] = [...STEP_CHECKS, ...FWD_CHECKS];
