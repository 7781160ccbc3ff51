import { IGNORED } from "../../model/training_executor.ts";
import { Random } from "../random.ts";
import { crossEntropy as reference } from "../reference/cross_entropy.ts";
import { checkKernel, type KernelCheck, type Measurement } from "../kernel_check.ts";

interface CrossEntropyCase {
  readonly name: string;
  readonly rows: number;
  readonly real_vocab_size: number;
  /** Rows of the table past the vocabulary. */
  readonly padding?: number;
  /** Size of the logits. */
  readonly scale?: number;
  /** Added to all logits, which changes nothing in exact arithmetic. */
  readonly offset?: number;
  /** Every n-th row is ignored, from the first. */
  readonly ignoredEvery?: number;
  readonly smoothing?: number;
}

const CASES: readonly CrossEntropyCase[] = [
  // Around the lanes of a workgroup, which are 32, 64 or 256 by the vocabulary.
  ...[1, 2, 10, 31, 32, 33, 65, 101, 127, 128, 129, 256, 512, 513, 3000].map((real_vocab_size) => ({
    name: `vocabulary of ${real_vocab_size}`,
    rows: 5,
    real_vocab_size,
  })),
  { name: "padding columns take no part", rows: 3, real_vocab_size: 101, padding: 27 },
  { name: "ignored rows", rows: 9, real_vocab_size: 65, padding: 3, ignoredEvery: 4 },
  { name: "all rows ignored", rows: 3, real_vocab_size: 65, ignoredEvery: 1 },
  { name: "logits that decide", rows: 9, real_vocab_size: 101, scale: 30 },
  { name: "large logits", rows: 3, real_vocab_size: 65, offset: 512 },
  { name: "a published vocabulary", rows: 2, real_vocab_size: 50_277, padding: 3, scale: 3 },
  { name: "smoothed targets", rows: 5, real_vocab_size: 10, smoothing: 0.1 },
  {
    name: "smoothed targets, padding columns and ignored rows",
    ...{ rows: 9, real_vocab_size: 300, padding: 5, ignoredEvery: 2, smoothing: 0.3 },
  },
  { name: "more rows than a dimension holds", rows: 65_537, real_vocab_size: 2 },
];

function recordable(each: CrossEntropyCase, seed: number): KernelCheck {
  return {
    kernel: "cross_entropy",
    name: each.name,
    ...checkKernel(["crossEntropy"], (run) => {
      const {
        rows,
        real_vocab_size,
        padding = 0,
        scale = 2,
        offset = 0,
        ignoredEvery,
        smoothing = 0,
      } = each;
      const vocab_size = real_vocab_size + padding;
      const random = new Random(seed);
      const values = random.normal(rows * vocab_size, scale).map((logit, i) =>
        i % vocab_size < real_vocab_size ? logit + offset : 100
      );
      const targets = random.ids(rows, real_vocab_size);
      targets.set([real_vocab_size - 1, 0].slice(0, rows));
      if (ignoredEvery !== undefined) {
        for (let row = 0; row < rows; row += ignoredEvery) targets[row] = IGNORED;
      }
      const counted = targets.filter((target) => target !== IGNORED).length;
      const factor = 1 / Math.max(1, counted);

      const logits = run.state(values);
      const loss = run.output(rows);
      run.ops.crossEntropy(run.program, { logits, targets: run.input(targets), loss }, {
        rows,
        vocab_size,
        real_vocab_size,
        smoothing,
        scale: factor,
        label: "check",
      });
      const real = values.filter((_, i) => i % vocab_size < real_vocab_size);
      const signed = Array.from(
        targets,
        (target) => target === IGNORED ? -1 : target,
      );
      const expected = reference(
        real,
        signed,
        { rows, columns: real_vocab_size },
        factor,
        smoothing,
      );
      const gradLogits = new Float64Array(rows * vocab_size);
      for (const [i, grad] of expected.grad_logits.entries()) {
        gradLogits[Math.floor(i / real_vocab_size) * vocab_size + i % real_vocab_size] = grad;
      }
      // A log-probability is a difference of logits: their size sets its error.
      const largest = real.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
      const atol = 1e-6 + 2 ** -23 * largest;
      run.expect("loss", loss, expected.loss, { rtol: 1e-5, atol });
      run.expect("grad_logits", logits, gradLogits, { rtol: 5e-5, atol: atol * factor });
    }),
  };
}

/** A row with this among its logits must show it in its loss and in no other. */
function poisoned(name: string, poison: number): KernelCheck {
  return {
    kernel: "cross_entropy",
    name: `${name} shows in the row's loss alone`,
    ...checkKernel(["crossEntropy"], (run) => {
      const [rows, vocab_size] = [3, 65];
      const values = new Random(1).normal(rows * vocab_size);
      values[vocab_size + 7] = poison;
      const logits = run.state(values);
      const loss = run.output(rows);
      const targets = run.input(new Uint32Array([1, 2, 3]));
      const shape = { rows, vocab_size, real_vocab_size: vocab_size, scale: 1, label: "check" };
      run.ops.crossEntropy(run.program, { logits, targets, loss }, shape);
      const finite = (words: Uint32Array<ArrayBuffer>): boolean[] =>
        Array.from(new Float32Array(words.buffer, words.byteOffset, words.length), Number.isFinite);
      const judge = (ok: boolean, detail: string): Measurement => ({
        worst: ok ? 0 : Infinity,
        detail,
      });
      run.expectThat("loss", loss, (words) => {
        const found = finite(words);
        return judge(found.join() === "true,false,true", `finite losses: ${found.join()}`);
      });
      run.expectThat("grad_logits", logits, (words) => {
        const rowsFinite = [0, 1, 2].map((row) =>
          finite(words).slice(row * vocab_size, (row + 1) * vocab_size).every(Boolean)
        );
        return judge(rowsFinite.join() === "true,false,true", `finite rows: ${rowsFinite.join()}`);
      });
    }),
  };
}

/** Checks of cross_entropy. */
export const CROSS_ENTROPY_CHECKS: readonly KernelCheck[] = [
  ...CASES.map(recordable),
  poisoned("NaN", NaN),
  poisoned("infinity", Infinity),
];
