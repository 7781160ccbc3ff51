import { tokenScoreFwd } from "../../src/cpu/ops/token_score.ts";
import { Random } from "../../src/checks/random.ts";
import { tokenScore } from "../../src/checks/reference/token_score.ts";
import { checkOp, type CpuCheck, ELEMENTWISE } from "./cpu_check.ts";

interface TokenScoreCase {
  readonly name: string;
  readonly rows: number;
  readonly real_vocab_size: number;
  /** Rows of the table past the vocabulary. */
  readonly padding?: number;
  /** Size of the logits. */
  readonly scale?: number;
  /** Added to all logits, which changes nothing in exact arithmetic. */
  readonly offset?: number;
  /** Rounds the logits to whole numbers, so that many are equal. */
  readonly ties?: boolean;
}

const CASES: readonly TokenScoreCase[] = [
  ...[1, 2, 65, 101, 127, 128, 129, 3000].map((real_vocab_size) => ({
    name: `vocabulary of ${real_vocab_size}`,
    rows: 5,
    real_vocab_size,
  })),
  { name: "padding rows take no part", rows: 3, real_vocab_size: 101, padding: 27 },
  { name: "equal logits rank by id", rows: 17, real_vocab_size: 257, ties: true },
  { name: "logits that decide", rows: 9, real_vocab_size: 101, scale: 30 },
  { name: "large logits", rows: 3, real_vocab_size: 65, offset: 512 },
  { name: "a published vocabulary", rows: 2, real_vocab_size: 50_277, padding: 3, scale: 3 },
];

/** Checks of tokenScoreFwd(). */
export const TOKEN_SCORE_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "tokenScoreFwd",
  name: each.name,
  run: checkOp((run) => {
    const { rows, real_vocab_size, padding = 0, scale = 2, offset = 0, ties = false } = each;
    const vocab_size = real_vocab_size + padding;
    const random = new Random(seed);
    const logits = random.normal(rows * vocab_size, scale).map((logit, i) =>
      i % vocab_size < real_vocab_size ? (ties ? Math.round(logit) : logit) + offset : 100
    );
    const targets = random.ids(rows, real_vocab_size);
    targets.set([real_vocab_size - 1, 0].slice(0, rows));

    const y = run.output(rows * 3);
    const tensors = { logits: run.input(logits), targets: run.input(targets), y };
    tokenScoreFwd(run.program, tensors, { rows, vocab_size, real_vocab_size, label: "check" });
    const expected = Array.from(targets, (target, row) => {
      const own = logits.subarray(row * vocab_size, row * vocab_size + real_vocab_size);
      const { logprob, rank, entropy } = tokenScore(own, target);
      return [logprob, rank, entropy];
    }).flat();
    // A log-probability is a difference of logits: their size sets its error.
    const largest = logits.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
    run.expect("y", y, expected, { rtol: ELEMENTWISE.rtol, atol: 1e-6 + 2 ** -23 * largest });
  }),
}));
