import { encodeSettings, NO_TOKEN, RING, type SamplerSettings } from "../../model/sampler.ts";
import { Random } from "../random.ts";
import { sampleDistribution } from "../reference/sampling.ts";
import { threefry2x32 } from "../reference/threefry.ts";
import { logSoftmax } from "../reference/token_score.ts";
import {
  checkKernel,
  type KernelCheck,
  type KernelRun,
  type Measurement,
} from "../kernel_check.ts";

/** Everything as the model says. */
export const PLAIN: SamplerSettings = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 7,
};

interface SampleCase extends Partial<SamplerSettings> {
  readonly name: string;
  readonly real_vocab_size?: number;
  /** Rows of the table past the vocabulary, with logits that would win. */
  readonly padding?: number;
  readonly batch?: number;
  /** Dispatches of one program; default all that the ring keeps. */
  readonly count?: number;
  /** Draws before the first. */
  readonly drawn?: number;
  /** Rounds the logits to whole numbers, so that many are equal. */
  readonly ties?: boolean;
  /** Logits of row 0 are NaN. */
  readonly nan?: boolean;
}

const CASES: readonly SampleCase[] = [
  ...[1, 2, 65, 101, 257].map((real_vocab_size) => ({
    name: `vocabulary of ${real_vocab_size}`,
    real_vocab_size,
  })),
  // From 4097 ids on, a workgroup has more lanes.
  ...[4096, 4097, 5000].map((real_vocab_size) => ({
    name: `vocabulary of ${real_vocab_size}`,
    real_vocab_size,
    count: 8,
    topP: 0.95,
  })),
  { name: "a published vocabulary", real_vocab_size: 50_277, padding: 3, count: 4 },
  {
    name: "a published vocabulary, all filters",
    real_vocab_size: 50_277,
    padding: 3,
    count: 4,
    topK: 100,
    topP: 0.9,
    minP: 0.01,
    temperature: 0.8,
    repetitionPenalty: 1.2,
  },
  { name: "padding rows are never drawn", padding: 27 },
  { name: "greedy", temperature: 0, count: 2 },
  { name: "greedy, padding", temperature: 0, count: 2, padding: 3 },
  { name: "greedy, the first of equal logits", temperature: 0, count: 1, ties: true },
  { name: "greedy, repetition penalty", temperature: 0, count: 1, repetitionPenalty: 3 },
  {
    name: "greedy, filters change nothing",
    temperature: 0,
    count: 1,
    topK: 3,
    topP: 0.5,
    minP: 0.5,
  },
  { name: "temperature 0.25", temperature: 0.25 },
  { name: "temperature 2", temperature: 2 },
  { name: "temperature 0.001", temperature: 0.001 },
  ...[1, 2, 40, 100, 101, 5000].map((topK) => ({ name: `top-k ${topK}`, topK })),
  { name: "top-k keeps ids that equal the k-th", topK: 12, ties: true },
  ...[0.01, 0.5, 0.9, 0.999].map((topP) => ({ name: `top-p ${topP}`, topP })),
  ...[0.01, 0.2, 1].map((minP) => ({ name: `min-p ${minP}`, minP })),
  ...[0.5, 1.3, 10].map((repetitionPenalty) => ({
    name: `repetition penalty ${repetitionPenalty}`,
    repetitionPenalty,
  })),
  {
    name: "all filters",
    temperature: 0.8,
    topK: 20,
    topP: 0.8,
    minP: 0.05,
    repetitionPenalty: 1.5,
  },
  { name: "the largest seed", seed: 2 ** 53 - 1 },
  { name: "the ring wraps", drawn: 30 },
  { name: "the counter wraps", drawn: 0xffffffff, count: 3 },
  { name: "a row of NaN gives no token", nan: true, count: 3 },
  {
    name: "a row of NaN gives no token, filters",
    nan: true,
    count: 3,
    topK: 3,
    topP: 0.5,
    minP: 0.1,
  },
  { name: "a row of NaN gives no token, greedy", nan: true, count: 3, temperature: 0 },
];

/** Error of a cumulative probability: f32's, in sums of masses that are cut to multiples of 2^-31. */
function cumulativeError(vocab_size: number): number {
  return 1e-5 + vocab_size * 2 ** -31;
}

/** What a row of the ring must hold. */
interface RowOracle {
  readonly probabilities: Float64Array;
  /** Of all ids below. */
  readonly cumulative: Float64Array;
  readonly logprobs: Float64Array;
}

function rowOracle(
  logits: Float32Array,
  seen: Iterable<number>,
  settings: SamplerSettings,
): RowOracle {
  // The kernel sees the settings as f32.
  const rounded = {
    ...settings,
    temperature: Math.fround(settings.temperature),
    topP: Math.fround(settings.topP),
    minP: Math.fround(settings.minP),
    repetitionPenalty: Math.fround(settings.repetitionPenalty),
  };
  const probabilities = sampleDistribution(logits, seen, rounded, logits.length);
  const cumulative = new Float64Array(probabilities.length + 1);
  probabilities.forEach((p, id) => cumulative[id + 1] = (cumulative[id] ?? NaN) + p);
  return { probabilities, cumulative, logprobs: logSoftmax(logits) };
}

/** Where the draw's random number lies beside the id's part of the distribution, and how far the logprob is off. */
function judgeDraw(oracle: RowOracle, id: number, logprob: number, random: number): Measurement {
  if (!((oracle.probabilities[id] ?? 0) > 0)) {
    return { worst: Infinity, detail: `id ${id} was drawn, which the settings exclude` };
  }
  const place = random / 2 ** 32;
  const [below = NaN, above = NaN] = oracle.cumulative.subarray(id, id + 2);
  const beside = Math.max(below - place, place - above, 0);
  const expected = oracle.logprobs[id] ?? NaN;
  const worst = Math.max(
    beside / cumulativeError(oracle.probabilities.length),
    Math.abs(logprob - expected) / (1e-5 + 1e-5 * Math.abs(expected)),
  );
  const detail = `id ${id} for ${place}, which lies in [${below}, ${above}]; ` +
    `logprob ${logprob}, expected ${expected}`;
  return { worst: Number.isNaN(worst) ? Infinity : worst, detail };
}

function recordCase(run: KernelRun<"sampleFwd">, each: SampleCase, caseSeed: number): void {
  const { real_vocab_size = 101, padding = 0, batch = 2, count = RING, drawn = 0 } = each;
  const settings: SamplerSettings = { ...PLAIN, ...each };
  const vocab_size = real_vocab_size + padding;
  const words = Math.ceil(vocab_size / 32);
  const random = new Random(caseSeed);
  const logits = random.normal(batch * vocab_size, 2).map((logit, i) => {
    if (i % vocab_size >= real_vocab_size) return 50;
    if (each.nan && i < vocab_size) return NaN;
    return each.ties ? Math.round(logit) : logit;
  });
  const seen = random.ids(batch * words, 2 ** 32);
  const oracles = Array.from({ length: batch }, (_, b) => {
    if (each.nan && b === 0) return undefined;
    const ids = Array.from({ length: real_vocab_size }, (_, id) => id)
      .filter((id) => ((seen[b * words + (id >>> 5)] ?? 0) >>> (id & 31) & 1) === 1);
    const start = b * vocab_size;
    return rowOracle(logits.subarray(start, start + real_vocab_size), ids, settings);
  });
  const NOTHING = 7;
  const ring = run.state(new Uint32Array(batch * RING * 2).fill(NOTHING));
  const tokens = run.state(new Uint32Array(batch).fill(NOTHING));
  const draws = run.state(new Uint32Array(batch).fill(drawn));
  const encoded = encodeSettings(settings, batch);
  const tensors = {
    settings: run.input(encoded),
    logits: run.readOnly("logits", new Uint32Array(logits.buffer)),
    seen: run.readOnly("seen", seen),
    tokens,
    draws,
    ring,
  };
  for (let i = 0; i < count; i++) {
    run.ops.sampleFwd(run.program, tensors, { batch, vocab_size, real_vocab_size, label: "check" });
  }

  const last = new Uint32Array(batch);
  run.expectThat("ring", ring, (slots) => {
    const logprobs = new Float32Array(slots.buffer, 0, slots.length);
    const results: Measurement[] = [];
    const untouched = new Set(slots.keys());
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < count; i++) {
        const counter = (drawn + i) >>> 0;
        const slot = (b * RING + counter % RING) * 2;
        untouched.delete(slot);
        untouched.delete(slot + 1);
        const [id = NaN, logprob = NaN] = [slots[slot], logprobs[slot + 1]];
        const oracle = oracles[b];
        last[b] = oracle === undefined ? NOTHING : id;
        if (oracle === undefined) {
          const detail = `id ${id} from a row of NaN, expected NO_TOKEN`;
          results.push({ worst: id === NO_TOKEN ? 0 : Infinity, detail });
          continue;
        }
        const [low = 0, high = 0] = encoded.subarray(5, 7);
        const [bits] = threefry2x32([low, high], [counter, b]);
        results.push(judgeDraw(oracle, id, logprob, bits));
      }
    }
    for (const slot of untouched) {
      if (slots[slot] !== NOTHING) {
        results.push({
          worst: Infinity,
          detail: `ring[${slot}] was written, which is not its turn`,
        });
      }
    }
    return results.reduce((worst, result) => result.worst > worst.worst ? result : worst);
  });
  run.expectThat("tokens", tokens, (ids) => {
    const b = ids.findIndex((id, b) => id !== last[b]);
    if (b < 0) return { worst: 0, detail: "tokens hold the last ids" };
    return { worst: Infinity, detail: `tokens[${b}] is ${ids[b]}, expected ${last[b]}` };
  });
  run.expectWords("draws", draws, new Uint32Array(batch).fill(drawn + count));
}

/** All logits equal, 2^bits of them: every mass is exact, so the id is the top bits of the random number. */
function knownAnswers(bits: number, seed: number, drawn: number, count: number): KernelCheck {
  return {
    kernel: "sample_fwd",
    name: `the random number's ${bits} top bits, seed ${seed}, from draw ${drawn}`,
    ...checkKernel(["sampleFwd"], (run) => {
      const [batch, vocab_size] = [3, 2 ** bits];
      const settings = encodeSettings({ ...PLAIN, seed }, batch);
      const [low = 0, high = 0] = settings.subarray(5, 7);
      const ring = new Uint32Array(batch * RING * 2);
      const last = new Uint32Array(batch);
      for (let b = 0; b < batch; b++) {
        for (let i = 0; i < count; i++) {
          const counter = drawn + i;
          const id = threefry2x32([low, high], [counter, b])[0] >>> (32 - bits);
          ring.set([id], (b * RING + counter % RING) * 2);
          last[b] = id;
        }
      }
      const tensors = {
        settings: run.input(settings),
        logits: run.readOnly("logits", new Uint32Array(batch * vocab_size)),
        seen: run.readOnly("seen", new Uint32Array(batch * vocab_size / 32)),
        tokens: run.state(new Uint32Array(batch)),
        draws: run.state(new Uint32Array(batch).fill(drawn)),
        ring: run.state(new Uint32Array(batch * RING * 2)),
      };
      for (let i = 0; i < count; i++) {
        const shape = { batch, vocab_size, real_vocab_size: vocab_size, label: "check" };
        run.ops.sampleFwd(run.program, tensors, shape);
      }
      run.expectThat("ring", tensors.ring, (words) => {
        // The log-probability may be rounded otherwise than here: compared elsewhere.
        const index = words.findIndex((word, i) => i % 2 === 0 && word !== ring[i]);
        if (index < 0) return { worst: 0, detail: "ids are the known answers" };
        const detail = `ring[${index}] is ${words[index]}, expected ${ring[index]}`;
        return { worst: Infinity, detail };
      });
      run.expectWords("tokens", tensors.tokens, last);
      run.expectWords("draws", tensors.draws, new Uint32Array(batch).fill(drawn + count));
    }),
  };
}

/** Checks of sample_fwd. */
export const SAMPLE_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((each, seed): KernelCheck => ({
    kernel: "sample_fwd",
    name: each.name,
    ...checkKernel(["sampleFwd"], (run) => recordCase(run, each, seed)),
  })),
  knownAnswers(8, 0, 0, RING),
  knownAnswers(8, 2 ** 32, 0x243f6a88, RING),
  knownAnswers(8, 2 ** 53 - 1, 1, RING),
  knownAnswers(16, 0x13198a2e03, 0x243f6a88, 4),
];
