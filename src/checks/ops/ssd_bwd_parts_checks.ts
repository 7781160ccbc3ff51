import { measureCloseness } from "../closeness.ts";
import { ssdBwd as reference } from "../reference/ssd_bwd.ts";
import { checkKernel, type KernelCheck, type Limits } from "../kernel_check.ts";
import { inFirstSlot } from "./ssd_checks.ts";
import { oracleShape, sideBySide, type SsdData, ssdData } from "./ssd_data.ts";
import { decaysOf, layoutOf, PART_CASES, type PartCase } from "./ssd_parts_checks.ts";

/** Five times the forward's. */
const SSD_BWD: Limits = { rtol: 5e-4, atol: 5e-4 };

/** What a kernel of ssdBwd() leaves that can be told apart from what the others do, by element; NaN: not looked at. */
type Expected = Readonly<Record<"grad_xBC" | "grad_CB" | "grad_D", ArrayLike<number>>>;

const NOTHING: ArrayLike<number> = [];

/** The gradient of CB[t, s], zero above the diagonal, NaN past the last step. */
function gradCB(data: SsdData, grad_y: Float32Array, each: PartCase): Float64Array {
  const { batch, seqlen, chunk, sizes: { nheads, headdim, ngroups } } = each;
  const { chunks, place } = layoutOf(each);
  const { dt, sum } = decaysOf(data, each);
  const perGroup = nheads / ngroups;
  return new Float64Array(batch * chunks * ngroups * chunk * chunk).map((_, i) => {
    const [s, t] = [i % chunk, Math.floor(i / chunk) % chunk];
    const block = Math.floor(i / chunk / chunk);
    const [g, bc] = [block % ngroups, Math.floor(block / ngroups)];
    const [b, first] = [Math.floor(bc / chunks), bc % chunks * chunk];
    if (first + Math.max(s, t) >= seqlen) return NaN;
    if (s > t) return 0;
    let total = 0;
    for (let h = g * perGroup; h < (g + 1) * perGroup; h++) {
      const at = (step: number) => place(b, h, first + step);
      let product = 0;
      for (let p = 0; p < headdim; p++) {
        const element = (step: number) => ((b * seqlen + first + step) * nheads + h) * headdim + p;
        product += (grad_y[element(t)] ?? NaN) * (data.x[element(s)] ?? NaN);
      }
      total += Math.exp((sum[at(t)] ?? NaN) - (sum[at(s)] ?? NaN)) * (dt[at(s)] ?? NaN) * product;
    }
    return total;
  });
}

/** What each kernel should leave. */
const EXPECTED: Readonly<
  Record<string, (data: SsdData, grad_y: Float32Array, each: PartCase) => Partial<Expected>>
> = {
  ssd_x_bwd: (data, grad_y, each) => {
    const rows = each.batch * each.seqlen;
    const { grad_x, grad_B, grad_C } = reference(data, grad_y, oracleShape(each));
    return { grad_xBC: sideBySide(rows, [grad_x, grad_B.fill(NaN), grad_C.fill(NaN)]) };
  },
  ssd_bc_bwd: (data, grad_y, each) => {
    const rows = each.batch * each.seqlen;
    const { grad_x, grad_B, grad_C } = reference(data, grad_y, oracleShape(each));
    return { grad_xBC: sideBySide(rows, [grad_x.fill(NaN), grad_B, grad_C]) };
  },
  ssd_cb_bwd: (data, grad_y, each) => ({ grad_CB: gradCB(data, grad_y, each) }),
  ssd_sums_bwd: (data, grad_y, each) => ({
    grad_D: reference(data, grad_y, oracleShape(each)).grad_D,
  }),
};

function check(
  kernel: string,
  expectedOf: (data: SsdData, grad_y: Float32Array, each: PartCase) => Partial<Expected>,
  each: PartCase,
  seed: number,
): KernelCheck {
  return {
    kernel,
    name: each.name,
    ...checkKernel(["ssdFwd", "ssdBwd", "ssdBwdScratch"], (run) => {
      const { shape, chunks } = layoutOf(each);
      const data = ssdData(each, seed);
      const grad_y = data.random.normal(data.x.length);
      const sized = run.ops.ssdBwdScratch(shape);
      const ignored = (name: string, length: number) => run.scratch(name, length);
      const tensors = {
        xBC: run.input(data.xBC),
        zxbcdt: run.input(data.zxbcdt),
        A_log: run.input(data.A_log),
        D: run.input(data.D),
        dt_bias: run.input(data.dt_bias),
        grad_y: run.input(grad_y),
        ssm_state: run.state(inFirstSlot(data.ssm_state, each.batch, chunks + 1)),
        y: ignored("y", data.x.length),
        decays: ignored("decays", sized.decays),
        CB: ignored("CB", sized.CB),
        grad_states: ignored("grad_states", sized.grad_states),
        sums: ignored("sums", sized.sums),
        partials: ignored("partials", sized.partials),
        grad_zxbcdt: ignored("grad_zxbcdt", data.zxbcdt.length),
        grad_A_log: ignored("grad_A_log", data.A_log.length),
        grad_dt_bias: ignored("grad_dt_bias", data.dt_bias.length),
        grad_state: ignored("grad_state", data.ssm_state.length),
        grad_xBC: run.output(data.xBC.length),
        grad_CB: run.output(sized.grad_CB),
        grad_D: run.output(data.D.length),
      };
      run.expectAnything("ssm_state", tensors.ssm_state);
      run.ops.ssdFwd(run.program, tensors, shape);
      run.ops.ssdBwd(run.program, tensors, { ...shape, gradFinal: false });
      const expected = expectedOf(data, grad_y, each);
      for (const name of ["grad_xBC", "grad_CB", "grad_D"] as const) {
        const values = expected[name] ?? NOTHING;
        run.expectThat(name, tensors[name], (words) => {
          const found = new Float32Array(words.buffer, 0, words.length);
          const looksAt = (i: number) => !Number.isNaN(values[i] ?? NaN);
          const actual = found.map((value, i) => looksAt(i) ? value : 0);
          const wanted = Float64Array.from(actual, (_, i) => looksAt(i) ? values[i] ?? NaN : 0);
          const { worst, index, ...pair } = measureCloseness(actual, wanted, SSD_BWD);
          return {
            worst,
            detail: `${name}[${index}] is ${pair.actual}, expected ${pair.expected}`,
          };
        });
      }
    }),
  };
}

/** Checks of what single kernels of ssdBwd() leave: a fault is then found where it is. */
export const SSD_BWD_PARTS_CHECKS: readonly KernelCheck[] = PART_CASES.flatMap((each, seed) =>
  Object.entries(EXPECTED).map(([kernel, expectedOf]) => check(kernel, expectedOf, each, seed))
);
