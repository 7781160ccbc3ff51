import { embeddingBwd, embeddingBwdParts } from "../../ops/embedding_bwd.ts";
import { createMatrix, type Matrix } from "../../ops/matrix.ts";
import { Random } from "../random.ts";
import { embeddingBwd as reference } from "../reference/embedding_bwd.ts";
import { checkKernel, EXACT, type KernelCheck, type KernelRun } from "../kernel_check.ts";

interface EmbeddingBwdCase {
  readonly name: string;
  readonly rows: number;
  readonly vocab_size: number;
  readonly d_model: number;
  readonly accumulate?: boolean;
  /** Every id is this one. */
  readonly only?: number;
}

const CASES: readonly EmbeddingBwdCase[] = [
  { name: "mamba-130m, 34 rows", rows: 34, vocab_size: 3000, d_model: 768 },
  { name: "odd sizes", rows: 65, vocab_size: 101, d_model: 52 },
  // Around the 256 ids and the 256 columns of a workgroup.
  ...[1, 255, 256, 257, 511].map((rows) => ({
    name: `${rows} rows`,
    rows,
    vocab_size: 5,
    d_model: 7,
  })),
  ...[255, 256, 257].map((d_model) => ({
    name: `d_model ${d_model}`,
    rows: 9,
    vocab_size: 3,
    d_model,
  })),
  // From 513 rows on, a small vocabulary is served in parts.
  ...[512, 513, 3001].map((rows) => ({
    name: `${rows} rows in parts`,
    rows,
    vocab_size: 65,
    d_model: 20,
  })),
  { name: "a vocabulary too large for parts", rows: 1500, vocab_size: 2049, d_model: 4 },
  { name: "adds to the head's gradient", rows: 65, vocab_size: 101, d_model: 52, accumulate: true },
  { name: "adds, in parts", rows: 1500, vocab_size: 65, d_model: 20, accumulate: true },
  { name: "one id everywhere", rows: 600, vocab_size: 11, d_model: 33, only: 10 },
  {
    name: "more ids than a dimension holds",
    rows: 3,
    vocab_size: 65_537,
    d_model: 1,
    only: 65_536,
  },
  { name: "all sizes 1", rows: 1, vocab_size: 1, d_model: 1 },
];

/** A gradient of zeros in padded rows, over a tensor of the run's. */
function gradient(run: KernelRun, shape: [number, number], values: Float32Array): Matrix {
  using exact = createMatrix(run.gpu, "exact", shape, { dtype: "f32" });
  const padded = new Float32Array(shape[0] * exact.stride);
  for (let row = 0; row < shape[0]; row++) {
    padded.set(values.subarray(row * shape[1], (row + 1) * shape[1]), row * exact.stride);
  }
  const blocks = [{ tensor: run.state(padded), rowStart: 0, rows: shape[0] }];
  return { ...exact, blocks, [Symbol.dispose]() {} };
}

/** Checks of embedding_bwd. */
export const EMBEDDING_BWD_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "embedding_bwd",
  name: each.name,
  run: checkKernel((run) => {
    const { rows, vocab_size, d_model, accumulate = false, only } = each;
    const random = new Random(seed);
    const ids = random.ids(rows, vocab_size);
    if (only !== undefined) ids.fill(only);
    // Multiples of 1/64 below 4: their sums are exact in f32, in any order.
    const exact = (length: number) =>
      random.uniform(length, -4, 4).map((v) => Math.round(v * 64) / 64);
    const gradY = exact(rows * d_model);
    // What is there before must be added to, or overwritten.
    const before = exact(vocab_size * d_model);
    const grad_weight = gradient(run, [vocab_size, d_model], before);
    const { stride, blocks } = grad_weight;
    const parts = embeddingBwdParts(rows, vocab_size);
    const partials = parts > 1 ? run.output(parts * vocab_size * stride) : undefined;
    embeddingBwd(
      run.program,
      {
        ids: run.input(ids),
        grad_y: run.input(gradY),
        ...(partials ? { partials } : {}),
        grad_weight,
      },
      { rows, accumulate, label: "check" },
    );
    const sums = reference(ids, gradY, { vocab_size, d_model });
    const expected = new Float64Array(vocab_size * stride);
    for (const [i, sum] of sums.entries()) {
      const element = Math.floor(i / d_model) * stride + i % d_model;
      expected[element] = sum + (accumulate ? before[i] ?? NaN : 0);
    }
    const [block] = blocks;
    if (block) run.expect("grad_weight", block.tensor, expected, EXACT);
    if (partials) {
      run.expectThat("partials", partials, () => ({ worst: 0, detail: "scratch" }));
    }
  }),
}));
