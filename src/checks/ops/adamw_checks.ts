import { encodeAdamwSchedule } from "../../model/adamw.ts";
import { Random } from "../random.ts";
import { adamwUpdate as reference } from "../reference/adamw_update.ts";
import { checkKernel, EXACT, type KernelCheck, type Limits } from "../kernel_check.ts";

interface AdamwCase {
  readonly name: string;
  readonly size: number;
  readonly step?: number;
  readonly learningRate?: number;
  readonly weight_decay?: number;
  readonly rate?: number;
  readonly clip?: number;
  /** Size of the gradients: at 1e-9 eps decides the result. */
  readonly scale?: number;
}

const CASES: readonly AdamwCase[] = [
  ...[1, 255, 256, 257].map((size) => ({ name: `${size} elements`, size })),
  { name: "step 1", size: 100, step: 1, weight_decay: 0.1 },
  { name: "step 100000", size: 100, step: 100_000, weight_decay: 0.1 },
  { name: "a large rate and decay", size: 100, learningRate: 0.1, weight_decay: 0.5 },
  { name: "a tenth of the rate", size: 100, rate: 0.1, weight_decay: 0.5 },
  { name: "rate 0", size: 100, learningRate: 0, weight_decay: 0.1 },
  { name: "clipped", size: 100, clip: 0.01, weight_decay: 0.1 },
  { name: "gradients as small as eps", size: 100, scale: 1e-9 },
  { name: "zeros", size: 100, scale: 0, step: 1 },
  { name: "a clip factor of 0 changes nothing", size: 300, clip: 0, weight_decay: 0.1 },
];

const BETAS = { beta1: 0.9, beta2: 0.999 };
const EPS = 1e-8;

/** Checks of adamw_update. */
export const ADAMW_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "adamw_update",
  name: each.name,
  ...checkKernel(["adamwUpdate"], (run) => {
    const { size, step = 5, learningRate = 1e-3, weight_decay = 0, clip = 1, scale = 1 } = each;
    const { rate = 1 } = each;
    const random = new Random(seed);
    const grad = random.normal(size, scale);
    const before = {
      weight: random.normal(size),
      // At step 1 both averages are still zero.
      m: random.normal(size, step === 1 ? 0 : 0.3 * scale),
      v: random.uniform(size, 0, step === 1 ? 0 : 2 * scale ** 2),
    };
    const after = {
      weight: run.state(before.weight),
      m: run.state(before.m),
      v: run.state(before.v),
    };
    const schedule = encodeAdamwSchedule(step, learningRate, BETAS);
    run.ops.adamwUpdate(
      run.program,
      {
        ...after,
        // A gradient that is NaN is what a factor of 0 stands for.
        grad: run.input(clip === 0 ? grad.fill(NaN) : grad),
        clip: run.input(new Float32Array([clip, 123])),
        schedule: run.input(schedule),
      },
      { size, ...BETAS, eps: EPS, weight_decay, rate, label: "check" },
    );
    const settings = {
      step,
      learningRate: rate * learningRate,
      ...BETAS,
      epsilon: EPS,
      weightDecay: weight_decay,
    };
    const expected = clip === 0
      ? before
      : reference({ ...before, grad }, { ...settings, clipFactor: clip });
    const limits = (atol: number): Limits => clip === 0 ? EXACT : { rtol: 1e-5, atol };
    run.expect("weight", after.weight, expected.weight, limits(1e-6 * learningRate + 1e-7));
    run.expect("m", after.m, expected.m, limits(1e-7 * scale));
    run.expect("v", after.v, expected.v, limits(1e-7 * scale ** 2));
  }),
}));
