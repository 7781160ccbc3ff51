import type { MatrixDType } from "../../model/weights/dtype.ts";
import { MAMBA_130M, ODD, ONES } from "../cases.ts";
import { Random } from "../random.ts";
import { embeddingFwd as reference } from "../reference/embedding.ts";
import { checkKernel, EXACT, type KernelCheck } from "../kernel_check.ts";
import { roundedWeight } from "./rounded_weight.ts";

interface EmbeddingCase {
  readonly name: string;
  readonly vocab_size: number;
  readonly d_model: number;
  readonly batch: number;
  readonly seqlen: number;
  readonly dtype: MatrixDType;
  /** Whether ids are noted in a bitmap that has bits already. */
  readonly seen: boolean;
  /** Rows a block, where the table is to be split. */
  readonly rowsPerBlock?: number;
  /** How large the weights are: at 1e-5 those of f16, and f16 scales, are subnormal. */
  readonly scale?: number;
  /** Whether the table lies as one that is trained. */
  readonly trained?: boolean;
}

const DTYPES: readonly MatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];
/** What of a model's sizes matters here. */
function tableSize({ vocab_size, d_model }: { vocab_size: number; d_model: number }) {
  return { vocab_size, d_model };
}

const odd = tableSize(ODD), ones = tableSize(ONES), published = tableSize(MAMBA_130M);

/** As many rows as a published table has, and shorter ones: how long they are is for the next. */
const many = { ...published, d_model: 72 };

const CASES: readonly EmbeddingCase[] = [
  { name: "mamba-130m, 17 ids", ...published, batch: 1, seqlen: 17, dtype: "f32", seen: true },
  ...DTYPES.flatMap((dtype) => [
    { name: `mamba-130m's ids, ${dtype}`, ...many, batch: 1, seqlen: 17, dtype, seen: true },
    { name: `odd sizes, batch 3, ${dtype}`, ...odd, batch: 3, seqlen: 5, dtype, seen: true },
    {
      name: `odd sizes, table split into blocks of 41, ${dtype}`,
      ...odd,
      batch: 2,
      seqlen: 65,
      dtype,
      seen: true,
      rowsPerBlock: 41,
    },
    { name: `all sizes 1, ${dtype}`, ...ones, batch: 2, seqlen: 1, dtype, seen: false },
  ]),
  // A lane copies 8 columns, as a CPU's panel has in a block of floats; a group of quantized weights is 32, and the
  // scales of 8 groups fill 16 bytes.
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
  // A workgroup copies 512 columns.
  ...[511, 512, 513].map((d_model) => ({
    name: `d_model ${d_model}`,
    vocab_size: 33,
    d_model,
    batch: 1,
    seqlen: 3,
    dtype: "f32" as const,
    seen: false,
  })),
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
    name: "a trained table",
    ...{
      vocab_size: 101,
      d_model: 52,
      batch: 2,
      seqlen: 17,
      dtype: "f32",
      seen: true,
      trained: true,
    },
  },
  {
    name: "more rows than a dimension has workgroups",
    vocab_size: 65,
    d_model: 1,
    batch: 2,
    seqlen: 32_769,
    dtype: "f32",
    seen: true,
  },
];

/** Checks of embedding_fwd. */
export const EMBEDDING_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "embedding_fwd",
  name: each.name,
  ...checkKernel(["embeddingFwd"], (run) => {
    const { vocab_size, d_model, batch, seqlen, dtype, scale = 1 } = each;
    const random = new Random(seed);
    const table = roundedWeight(random.normal(vocab_size * d_model, scale), dtype, d_model);
    const ids = random.ids(batch * seqlen, vocab_size);
    // Both ends of the table, where a wrong block would show.
    ids.set([vocab_size - 1, 0].slice(0, ids.length));
    const weight = each.trained
      ? run.trainedMatrix(table.values, [vocab_size, d_model])
      : run.matrix(table, [vocab_size, d_model], each.rowsPerBlock);

    const words = Math.ceil(vocab_size / 32);
    const before = random.ids(batch * words, 2 ** 32).map((word, i) => i % 2 ? word : 0);
    const after = before.slice();
    ids.forEach((id, i) => {
      const word = Math.floor(i / seqlen) * words + (id >>> 5);
      after[word] = (after[word] ?? 0) | 1 << (id & 31);
    });

    const y = run.output(batch * seqlen * d_model);
    const tensors = { ids: run.readOnly("ids", ids), weight, y };
    if (each.seen) {
      const seen = run.state(before);
      run.ops.embeddingFwd(run.program, { ...tensors, seen }, { batch, seqlen, label: "check" });
      run.expectWords("seen", seen, after);
    } else {
      run.ops.embeddingFwd(run.program, tensors, { batch, seqlen, label: "check" });
    }
    run.expect("y", y, reference(ids, table.values, { d_model }), EXACT);
  }),
}));
