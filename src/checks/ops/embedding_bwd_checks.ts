import { Random } from "../random.ts";
import { embeddingBwd as reference } from "../reference/embedding_bwd.ts";
import { checkKernel, EXACT, type KernelCheck } from "../kernel_check.ts";

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

/** Checks of embedding_bwd. */
export const EMBEDDING_BWD_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "embedding_bwd",
  name: each.name,
  ...checkKernel(["embeddingBwd", "embeddingBwdParts"], (run) => {
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
    const { matrix, tensor, padded } = run.matrixState(before, [vocab_size, d_model]);
    const parts = run.ops.embeddingBwdParts(rows, vocab_size);
    const length = padded(before).length;
    const partials = parts > 1 ? run.scratch("partials", parts * length) : undefined;
    run.ops.embeddingBwd(
      run.program,
      {
        ids: run.input(ids),
        grad_y: run.input(gradY),
        ...(partials ? { partials } : {}),
        grad_weight: matrix,
      },
      { rows, accumulate, label: "check" },
    );
    const sums = reference(ids, gradY, { vocab_size, d_model });
    const expected = sums.map((sum, i) => sum + (accumulate ? before[i] ?? NaN : 0));
    run.expect("grad_weight", tensor, padded(expected), EXACT);
  }),
}));
