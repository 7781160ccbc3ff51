import { checkKernel, ELEMENTWISE, type KernelCheck } from "../kernel_check.ts";
import { Random } from "../random.ts";
import { at } from "../reference/at.ts";
import { gelu } from "../reference/s4.ts";

const SIZES: readonly number[] = [1, 255, 1024, 3001];

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

const GELU_CHECKS: readonly KernelCheck[] = SIZES.flatMap((size, seed) => [
  {
    kernel: "gelu_fwd",
    name: `${size} elements`,
    ...checkKernel(["geluFwd"], (run) => {
      const x = new Random(seed).normal(size, 3);
      x[0] = -100;
      const y = run.output(size);
      run.ops.geluFwd(run.program, { x: run.input(x), y }, { size, label: "check" });
      run.expect("y", y, Float64Array.from(x, gelu), ELEMENTWISE);
    }),
  },
  {
    kernel: "gelu_bwd",
    name: `${size} elements`,
    ...checkKernel(["geluBwd"], (run) => {
      const random = new Random(seed);
      const [x, grad_y] = [random.normal(size, 3), random.normal(size)];
      x[0] = -30;
      const grad = run.state(grad_y);
      run.ops.geluBwd(run.program, { x: run.input(x), grad }, { size, label: "check" });
      const slope = (v: number) => (gelu(v + 1e-5) - gelu(v - 1e-5)) / 2e-5;
      run.expect("grad", grad, Float64Array.from(grad_y, (g, i) => g * slope(at(x, i))), {
        ...{ rtol: 5e-5, atol: 5e-6 },
      });
    }),
  },
]);

const GLU_SHAPES: readonly { readonly rows: number; readonly d_model: number }[] = [
  { rows: 1, d_model: 1 },
  { rows: 3, d_model: 85 },
  { rows: 17, d_model: 128 },
];

const GLU_CHECKS: readonly KernelCheck[] = GLU_SHAPES.flatMap((shape, seed) => {
  const { rows, d_model } = shape;
  const name = `${rows} rows of ${d_model}`;
  const size = rows * d_model;
  const random = new Random(seed);
  const [x, before] = [random.normal(2 * size, 2), random.normal(size)];
  const place = (i: number) => Math.floor(i / d_model) * 2 * d_model + i % d_model;
  const gate = (i: number) => sigmoid(at(x, place(i) + d_model));
  return [
    ...[false, true].map((accumulate): KernelCheck => ({
      kernel: "glu_fwd",
      name: `${name}${accumulate ? ", added" : ""}`,
      ...checkKernel(["gluFwd"], (run) => {
        const y = accumulate ? run.state(before) : run.output(size);
        const tensors = { x: run.input(x), y };
        run.ops.gluFwd(run.program, tensors, { ...shape, accumulate, label: "check" });
        const value = (_: number, i: number) =>
          at(x, place(i)) * gate(i) + (accumulate ? at(before, i) : 0);
        run.expect("y", y, Float64Array.from(before, value), ELEMENTWISE);
      }),
    })),
    {
      kernel: "glu_bwd",
      name,
      ...checkKernel(["gluBwd"], (run) => {
        const grad = run.state(x);
        run.ops.gluBwd(run.program, { grad_y: run.input(before), x: grad }, {
          ...shape,
          label: "check",
        });
        const expected = new Float64Array(2 * size);
        for (let i = 0; i < size; i++) {
          const [s, g] = [gate(i), at(before, i)];
          expected[place(i)] = g * s;
          expected[place(i) + d_model] = g * at(x, place(i)) * s * (1 - s);
        }
        run.expect("x", grad, expected, { rtol: 5e-5, atol: 5e-6 });
      }),
    },
  ];
});

/** Checks of GELU and of the gated linear unit. */
export const GATED_UNIT_CHECKS: readonly KernelCheck[] = [...GELU_CHECKS, ...GLU_CHECKS];
