import type { CpuMatrixDType } from "../../src/cpu/matrix.ts";
import { embeddingFwd } from "../../src/cpu/ops/embedding.ts";
import { MAMBA_130M, ODD, ONES } from "../../src/checks/cases.ts";
import { roundedWeight } from "../../src/checks/ops/rounded_weight.ts";
import { Random } from "../../src/checks/random.ts";
import { embeddingFwd as reference } from "../../src/checks/reference/embedding.ts";
import { checkOp, type CpuCheck, EXACT } from "./cpu_check.ts";

interface EmbeddingCase {
  readonly name: string;
  readonly vocab_size: number;
  readonly d_model: number;
  readonly batch: number;
  readonly seqlen: number;
  readonly dtype: CpuMatrixDType;
  /** Whether ids are noted in a bitmap that has bits already. */
  readonly seen: boolean;
  /** How large the weights are: at 1e-5 those of f16, and f16 scales, are subnormal. */
  readonly scale?: number;
}

const DTYPES: readonly CpuMatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];
const [odd, ones, published] = [ODD, ONES, MAMBA_130M].map(({ vocab_size, d_model }) => ({
  vocab_size,
  d_model,
}));

const CASES: readonly EmbeddingCase[] = [
  ...DTYPES.flatMap((dtype) => [
    { name: `mamba-130m, 17 ids, ${dtype}`, ...published, batch: 1, seqlen: 17, dtype, seen: true },
    { name: `odd sizes, batch 3, ${dtype}`, ...odd, batch: 3, seqlen: 5, dtype, seen: true },
    { name: `all sizes 1, ${dtype}`, ...ones, batch: 2, seqlen: 1, dtype, seen: false },
  ]).map((each) => ({ vocab_size: 1, d_model: 1, ...each })),
  // Around a block of 8 columns, and one of 32.
  ...DTYPES.flatMap((dtype) =>
    [2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 257].map((d_model) => ({
      name: `d_model ${d_model}, ${dtype}`,
      vocab_size: 33,
      d_model,
      batch: 1,
      seqlen: 9,
      dtype,
      seen: false,
    }))
  ),
  // Quantized, the scales are what is subnormal.
  ...(["f16", "int8", "int4"] as const).map((dtype) => ({
    name: `subnormal ${dtype}`,
    vocab_size: 64,
    d_model: 8,
    batch: 1,
    seqlen: 64,
    dtype,
    seen: false,
    scale: 1e-5,
  })),
  {
    name: "many ids of one batch entry",
    vocab_size: 65,
    d_model: 1,
    batch: 2,
    seqlen: 32_769,
    dtype: "f32",
    seen: true,
  },
];

/** Checks of embeddingFwd(). */
export const EMBEDDING_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "embeddingFwd",
  name: each.name,
  run: checkOp((run) => {
    const { vocab_size, d_model, batch, seqlen, dtype, scale = 1 } = each;
    const random = new Random(seed);
    const table = roundedWeight(random.normal(vocab_size * d_model, scale), dtype, d_model);
    const ids = random.ids(batch * seqlen, vocab_size);
    // Both ends of the table, where a wrong panel would show.
    ids.set([vocab_size - 1, 0].slice(0, ids.length));
    const weight = run.matrix(table, [vocab_size, d_model]);

    const words = Math.ceil(vocab_size / 32);
    const before = random.ids(batch * words, 2 ** 32).map((word, i) => i % 2 ? word : 0);
    const after = before.slice();
    ids.forEach((id, i) => {
      const word = Math.floor(i / seqlen) * words + (id >>> 5);
      after[word] = (after[word] ?? 0) | 1 << (id & 31);
    });

    const y = run.output(batch * seqlen * d_model);
    const seen = each.seen ? run.state(before) : undefined;
    const tensors = { ids: run.readOnly("ids", ids), weight, seen, y };
    embeddingFwd(run.program, tensors, { batch, seqlen, label: "check" });
    if (seen !== undefined) run.expectWords("seen", seen, after);
    run.expect("y", y, reference(ids, table.values, { d_model }), EXACT);
  }),
}));
