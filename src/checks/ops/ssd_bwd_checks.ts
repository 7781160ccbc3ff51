import type { SsdSizes } from "../../model/ssd_sizes.ts";
import { ssdFwd as forward } from "../reference/ssd.ts";
import { ssdBwd as reference } from "../reference/ssd_bwd.ts";
import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import { inFirstSlot, SSD, SSD_SIZES } from "./ssd_checks.ts";
import {
  MAMBA2_130M,
  ODD_SSD,
  oracleShape,
  sideBySide,
  type SsdCase,
  type SsdData,
  ssdData,
} from "./ssd_data.ts";
import { stepsOf } from "./steps_of.ts";

/** Five times the forward's. */
const SSD_BWD: Limits = { rtol: 5e-4, atol: 5e-4 };

interface BwdCase extends SsdCase {
  readonly chunk: number;
  /** First steps of the pieces that the sequence is run in, each with a backward of its own; default [0]. */
  readonly starts?: readonly number[];
  /** Whether the loss reads the final state; default true. */
  readonly gradFinal?: boolean;
}

function sized(
  sizes: Partial<SsdSizes>,
  [seqlen, chunk]: readonly [number, number],
  { batch = 2, ...rest }: Partial<BwdCase> = {},
): BwdCase {
  const full = { ...ODD_SSD, ...sizes };
  const name = Object.entries({ ...full, batch, seqlen, chunk, ...rest })
    .map(([name, value]) => `${name} ${value}`).join(", ");
  return { name, sizes: full, batch, seqlen, chunk, ...rest };
}

const CASES: readonly BwdCase[] = [
  { name: "mamba2-130m, 3 steps", sizes: MAMBA2_130M, batch: 1, seqlen: 3, chunk: 64 },
  ...SSD_SIZES.map((sizes) => sized(sizes, [18, 12])),
  sized({}, [18, 7]),
  sized({ nheads: 3, headdim: 130, d_state: 65 }, [5, 4], { D_has_hdim: true }),
  ...[1, 15, 16, 17, 33].map((seqlen) => sized({}, [seqlen, 16], { batch: 3 })),
  ...[63, 64, 65, 129].map((seqlen) => sized({}, [seqlen, 64])),
  sized({}, [200, 50], { batch: 1 }),
  sized({}, [33, 16], { D_has_hdim: true }),
  sized({}, [33, 16], { dt_limit: [0.03, 0.07] }),
  sized({}, [33, 16], { reset: 8 }),
  sized({}, [70, 64], { reset: 100 }),
  // The gradient of a piece's initial state is that of the final state of the piece before.
  ...[[0, 1], [0, 16], [0, 7, 33]].map((starts) => sized({}, [49, 16], { starts })),
  // Whole vec4s, but neither whole slices nor whole tiles.
  ...[{}, { reset: 100 }].map((options) => sized({ headdim: 20, d_state: 36 }, [75, 60], options)),
  sized({}, [33, 16], { gradFinal: false }),
];

/** What the recurrence reads in the steps from `first` to `end`. */
function inputsOf(data: SsdData, { batch, seqlen }: SsdCase, steps: readonly [number, number]) {
  const part = (name: "x" | "B" | "C" | "dt") => stepsOf(data[name], [batch, seqlen], steps);
  return { ...data, x: part("x"), B: part("B"), C: part("C"), dt: part("dt") };
}

function recordCase(
  run: KernelRun<"ssdFwd" | "ssdBwd" | "ssdBwdScratch">,
  each: BwdCase,
  seed: number,
): void {
  const { sizes, batch, seqlen, chunk, starts = [0], gradFinal = true } = each;
  const data = ssdData(each, seed);
  const shape = oracleShape(each);
  const grad_y = data.random.normal(data.x.length);
  const grad_final = data.random.normal(data.ssm_state.length);
  const expected = reference(data, grad_y, shape, gradFinal ? grad_final : undefined);

  const weights = {
    A_log: run.input(data.A_log),
    D: run.input(data.D),
    dt_bias: run.input(data.dt_bias),
  };
  const grads = {
    grad_A_log: run.output(data.A_log.length),
    grad_D: run.output(data.D.length),
    grad_dt_bias: run.output(data.dt_bias.length),
    grad_state: run.state(grad_final),
  };
  const pieces = starts.map((first, i) => [first, starts[i + 1] ?? seqlen] as const).toReversed();
  for (const steps of pieces) {
    const [first, end] = steps;
    const rows = batch * (end - first);
    const part = (values: Float32Array | Float64Array) => stepsOf(values, [batch, seqlen], steps);
    const before = forward(inputsOf(data, each, [0, first]), { ...shape, seqlen: first });
    const initial = Float32Array.from(before.ssm_state);
    const inputs = { ...inputsOf(data, each, steps), ssm_state: initial };
    const slots = Math.ceil((end - first) / chunk) + 1;
    const ssm_state = run.state(inFirstSlot(initial, batch, slots));
    run.expectAnything("ssm_state", ssm_state);
    const y = run.output(inputs.x.length);
    run.expect("y", y, forward(inputs, { ...shape, seqlen: end - first }).y, SSD);
    const piece = { ...each, ...sizes, seqlen: end - first, label: "check" };
    const sized = run.ops.ssdBwdScratch(piece);
    const scratches = {
      decays: run.scratch("decays", sized.decays),
      CB: run.scratch("CB", sized.CB),
      grad_CB: run.scratch("grad_CB", sized.grad_CB),
      grad_states: run.scratch("grad_states", sized.grad_states),
      sums: run.scratch("sums", sized.sums),
      partials: run.scratch("partials", sized.partials),
    };
    const zxbcdt = part(data.zxbcdt);
    const filler = data.random.normal(zxbcdt.length);
    const tensors = {
      ...weights,
      ...scratches,
      xBC: run.input(part(data.xBC)),
      zxbcdt: run.input(zxbcdt),
      ssm_state,
      y,
    };
    const own = {
      grad_y: run.input(part(grad_y)),
      grad_xBC: run.output(part(data.xBC).length),
      grad_zxbcdt: run.state(filler),
    };
    run.ops.ssdFwd(run.program, tensors, piece);
    run.ops.ssdBwd(run.program, { ...tensors, ...grads, ...own }, {
      ...piece,
      gradFinal: gradFinal || end < seqlen,
      accumulate: end < seqlen,
    });
    const { grad_x, grad_B, grad_C, grad_dt } = expected;
    const grad_xBC = sideBySide(rows, [part(grad_x), part(grad_B), part(grad_C)]);
    run.expect("grad_xBC", own.grad_xBC, grad_xBC, SSD_BWD);
    const left = stepsOf(filler, [1, rows], [0, rows]);
    const width = filler.length / rows;
    const own_dt = part(grad_dt);
    const grad_zxbcdt = Float64Array.from(left, (value, i) => {
      const column = i % width - (width - sizes.nheads);
      return column < 0 ? value : own_dt[Math.floor(i / width) * sizes.nheads + column] ?? NaN;
    });
    run.expect("grad_zxbcdt", own.grad_zxbcdt, grad_zxbcdt, SSD_BWD);
  }
  run.expect("grad_state", grads.grad_state, expected.grad_ssm_state, SSD_BWD);
  run.expect("grad_A_log", grads.grad_A_log, expected.grad_A_log, SSD_BWD);
  run.expect("grad_D", grads.grad_D, expected.grad_D, SSD_BWD);
  run.expect("grad_dt_bias", grads.grad_dt_bias, expected.grad_dt_bias, SSD_BWD);
}

/** Checks of the kernels of ssdBwd(), together, after ssdFwd() in training's form. */
export const SSD_BWD_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "ssd_dt_bwd",
  name: each.name,
  ...checkKernel(["ssdFwd", "ssdBwd", "ssdBwdScratch"], (run) => recordCase(run, each, seed)),
}));
