import type { ChannelForm, Panel } from "../../model/s4_sizes.ts";
import { checkKernel, type KernelCheck } from "../kernel_check.ts";
import { Random } from "../random.ts";
import { at } from "../reference/at.ts";
import {
  channelCorrelate as correlateReference,
  channelMatmul as reference,
  channelOuter as outerReference,
} from "../reference/channels.ts";

/** Of sums of some dozen products of numbers about 1. */
const SUMS = { rtol: 1e-5, atol: 2e-5 };

/** Sizes: sequences of `rows` steps in chunks of `chunk`, and of `slots` states of `states` rows. */
interface ChannelCase {
  readonly name: string;
  readonly d_model: number;
  readonly batch: number;
  readonly rows: number;
  readonly chunk: number;
  readonly states: number;
}

const CASES: readonly ChannelCase[] = [
  { name: "784 steps by 64, 16 left", d_model: 65, batch: 1, rows: 784, chunk: 64, states: 8 },
  { name: "12 steps by 5, 2 left", d_model: 21, batch: 3, rows: 12, chunk: 5, states: 6 },
  { name: "one step", d_model: 1, batch: 1, rows: 1, chunk: 1, states: 1 },
  { name: "fewer steps than a chunk", d_model: 4, batch: 2, rows: 3, chunk: 9, states: 2 },
  { name: "40 sequences", d_model: 5, batch: 40, rows: 7, chunk: 4, states: 3 },
];

/** The panels of a case: its steps, and the states after chunks. */
function panelsOf({ rows, chunk, states }: ChannelCase): {
  chunks: number;
  steps: Panel;
  slots: Panel;
} {
  const chunks = Math.ceil(rows / chunk);
  return {
    chunks,
    steps: { ldBatch: rows, ldChunk: chunk, limit: rows },
    slots: {
      ldBatch: (chunks + 1) * states,
      ldChunk: states,
      offset: states,
      limit: (chunks + 1) * states,
    },
  };
}

const FORMS: readonly ChannelForm[] = ["plain", "transposed", "convolution", "correlation"];

const MATMUL_CHECKS: readonly KernelCheck[] = CASES.flatMap((each) =>
  FORMS.flatMap((form) =>
    [false, true].map((accumulate, seed): KernelCheck => ({
      kernel: "channel_matmul",
      name: `${each.name}, ${form}${accumulate ? ", added" : ""}`,
      ...checkKernel(["channelMatmul"], (run) => {
        const { d_model, batch, rows, chunk, states } = each;
        const random = new Random(seed);
        const { chunks, steps, slots } = panelsOf(each);
        const isMatrix = form === "plain" || form === "transposed";
        const outer = isMatrix ? states : chunk;
        const inner = chunk;
        const to = isMatrix ? slots : steps;
        const x = random.normal(batch * rows * d_model);
        const weight = random.normal((isMatrix ? outer : 1) * inner * d_model);
        const before = random.normal(batch * to.ldBatch * d_model);
        const product = { batch, chunks, outer, inner, d_model, x: steps, y: to, accumulate };
        const y = run.state(before);
        run.ops.channelMatmul(run.program, { x: run.input(x), weight: run.input(weight), y }, {
          ...product,
          form,
          label: "check",
        });
        const row = (i: number, k: number): number | undefined => {
          if (form === "plain") return i * inner + k;
          if (form === "transposed") return k * outer + i;
          const lag = form === "convolution" ? i - k : k - i;
          return lag < 0 ? undefined : lag;
        };
        const expected = reference(
          x,
          (i, k, d) => {
            const found = row(i, k);
            return found === undefined ? 0 : at(weight, found * d_model + d);
          },
          before,
          product,
        );
        run.expect("y", y, expected, SUMS);
      }),
    }))
  )
);

const IN_PLACE_CHECK: KernelCheck = {
  kernel: "channel_matmul",
  name: "from slot to slot of one tensor",
  ...checkKernel(["channelMatmul"], (run) => {
    const [d_model, batch, states, slots] = [7, 3, 4, 3];
    const random = new Random(5);
    const before = random.normal(batch * slots * states * d_model);
    const weight = random.normal(states ** 2 * d_model);
    const slot = (index: number): Panel => ({
      ...{ ldBatch: slots * states, ldChunk: 0, offset: index * states, limit: slots * states },
    });
    const product = {
      ...{ batch, chunks: 1, outer: states, inner: states, d_model, accumulate: true },
      ...{ x: slot(0), y: slot(1) },
    };
    const tensor = run.state(before);
    run.ops.channelMatmul(run.program, { x: tensor, weight: run.input(weight), y: tensor }, {
      ...product,
      form: "plain",
      label: "check",
    });
    const expected = reference(
      before,
      (i, k, d) => at(weight, (i * states + k) * d_model + d),
      before,
      product,
    );
    run.expect("y", tensor, expected, SUMS);
  }),
};

const OUTER_CHECKS: readonly KernelCheck[] = CASES.flatMap((each) =>
  [false, true].map((accumulate, seed): KernelCheck => ({
    kernel: "channel_outer",
    name: `${each.name}${accumulate ? ", added" : ""}`,
    ...checkKernel(["channelOuter", "channelOuterScratch"], (run) => {
      const { d_model, batch, rows, chunk, states } = each;
      const random = new Random(seed);
      const { chunks, steps, slots } = panelsOf(each);
      const product = { batch, chunks, outer: chunk, inner: states, d_model, p: steps, q: slots };
      const p = random.normal(batch * rows * d_model);
      const q = random.normal(batch * slots.ldBatch * d_model);
      const before = random.normal(chunk * states * d_model);
      const y = accumulate ? run.state(before) : run.output(before.length);
      const partials = run.scratch("partials", run.ops.channelOuterScratch(product));
      run.ops.channelOuter(run.program, { p: run.input(p), q: run.input(q), partials, y }, {
        ...product,
        accumulate,
        label: "check",
      });
      const sums = outerReference(p, q, product);
      run.expect("y", y, sums.map((v, i) => v + (accumulate ? at(before, i) : 0)), SUMS);
    }),
  }))
);

const CORRELATE_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "channel_correlate",
  name: each.name,
  ...checkKernel(["channelCorrelate", "channelCorrelateScratch"], (run) => {
    const { d_model, batch, rows, chunk } = each;
    const random = new Random(seed);
    const { chunks, steps } = panelsOf(each);
    const shape = { batch, chunks, rows: chunk, d_model, panel: steps };
    const p = random.normal(batch * rows * d_model);
    const q = random.normal(batch * rows * d_model);
    const y = run.output(chunk * d_model);
    const partials = run.scratch("partials", run.ops.channelCorrelateScratch(shape));
    run.ops.channelCorrelate(run.program, { p: run.input(p), q: run.input(q), partials, y }, {
      ...shape,
      label: "check",
    });
    // Up to 784 products of numbers about 1.
    run.expect("y", y, correlateReference(p, q, shape), { rtol: 1e-5, atol: 1e-4 });
  }),
}));

/** Checks of products with panels, and of their gradients. */
export const CHANNEL_CHECKS: readonly KernelCheck[] = [
  ...MATMUL_CHECKS,
  IN_PLACE_CHECK,
  ...OUTER_CHECKS,
  ...CORRELATE_CHECKS,
];
