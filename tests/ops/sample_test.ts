import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { readBuffer } from "../../src/gpu/readback.ts";
import { Program, submit } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { sampleFwd } from "../../src/ops/sample.ts";
import { encodeSettings, RING, type SamplerSettings } from "../../src/model/sampler.ts";
import { Random } from "../../src/checks/random.ts";
import { sampleDistribution } from "../../src/checks/reference/sampling.ts";
import { withGpu } from "../with_gpu.ts";
import { PLAIN, SAMPLE_CHECKS } from "../../src/checks/ops/sample_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SAMPLE_CHECKS);

const VOCAB_SIZE = 65;

interface Draw {
  readonly settings: SamplerSettings;
  /** (batch, VOCAB_SIZE) */
  readonly logits: Float32Array;
  readonly batch: number;
  /** A multiple of RING. */
  readonly count: number;
  readonly drawn?: number;
}

/** Draws `count` ids for each batch entry, RING a submit: `[b][i]`. */
async function drawIds(gpu: Gpu, draw: Draw): Promise<number[][]> {
  const { batch, count, settings, logits, drawn = 0 } = draw;
  const made: Tensor[] = [];
  const make = (name: string, data: Float32Array | Uint32Array) => {
    const tensor = createTensor(gpu, name, [data.length]);
    tensor.write(data);
    made.push(tensor);
    return tensor;
  };
  using program = new Program(gpu);
  const tensors = {
    settings: make("settings", encodeSettings(settings, batch)),
    logits: make("logits", logits),
    seen: make("seen", new Uint32Array(batch * Math.ceil(VOCAB_SIZE / 32))),
    tokens: make("tokens", new Uint32Array(batch)),
    draws: make("draws", new Uint32Array(batch).fill(drawn)),
    ring: make("ring", new Uint32Array(batch * RING * 2)),
  };
  const shape = { batch, vocab_size: VOCAB_SIZE, real_vocab_size: VOCAB_SIZE, label: "test" };
  for (let i = 0; i < RING; i++) sampleFwd(program, tensors, shape);
  const ids: number[][] = Array.from({ length: batch }, () => []);
  for (let done = 0; done < count; done += RING) {
    submit(gpu, [program]);
    const bytes = await readBuffer(gpu, tensors.ring, batch * RING * 8);
    const words = new Uint32Array(bytes.buffer);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < RING; i++) {
        ids[b]?.push(words[(b * RING + (drawn + done + i) % RING) * 2] ?? NaN);
      }
    }
  }
  for (const tensor of made) tensor[Symbol.dispose]();
  return ids;
}

/**
 * The chi-square value that a right sampler exceeds once in a million seeds, by Wilson and Hilferty's
 * approximation; 4.7534 is that quantile of the normal distribution.
 */
function chiSquareLimit(freedom: number): number {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 4.7534 * Math.sqrt(spread)) ** 3;
}

/** Pearson's statistic, with the ids expected fewer than 5 times taken together. */
function chiSquare(ids: readonly number[], probabilities: Float64Array) {
  const counts = new Float64Array(probabilities.length);
  for (const id of ids) counts[id] = (counts[id] ?? NaN) + 1;
  const rest = { expected: 0, count: 0 };
  let [statistic, bins] = [0, 0];
  const add = (expected: number, count: number) => {
    statistic += (count - expected) ** 2 / expected;
    bins++;
  };
  probabilities.forEach((p, id) => {
    const [expected, count] = [p * ids.length, counts[id] ?? NaN];
    if (expected >= 5) return add(expected, count);
    rest.expected += expected;
    rest.count += count;
  });
  if (rest.expected > 0) add(rest.expected, rest.count);
  else assertEquals(rest.count, 0, "an id was drawn that the settings exclude");
  return { statistic, limit: chiSquareLimit(bins - 1), bins };
}

const FILTERED = { ...PLAIN, temperature: 1.5, topK: 30, topP: 0.9, minP: 0.02 };
for (const [name, settings] of Object.entries({ "no filter": PLAIN, "all filters": FILTERED })) {
  Deno.test(
    `sampleFwd() draws 4096 ids with the frequencies of the distribution: ${name}`,
    withGpu(async (gpu) => {
      const batch = 8;
      const row = new Random(1).normal(VOCAB_SIZE, 1.5);
      const logits = new Float32Array(batch * VOCAB_SIZE);
      for (let b = 0; b < batch; b++) logits.set(row, b * VOCAB_SIZE);
      const ids = await drawIds(gpu, { settings, logits, batch, count: 512 });
      const probabilities = sampleDistribution(row, [], settings, VOCAB_SIZE);
      const { statistic, limit, bins } = chiSquare(ids.flat(), probabilities);
      assert(bins > 5 && statistic < limit, `chi-square ${statistic} of ${bins}, limit ${limit}`);
      // The test itself can fail: the same draws do not fit a distribution a little warmer.
      const warmer = { ...settings, temperature: settings.temperature * 1.2 };
      const other = chiSquare(
        ids.flat(),
        sampleDistribution(row, [], { ...warmer, topK: 0, topP: 1, minP: 0 }, VOCAB_SIZE),
      );
      assert(other.statistic > other.limit);
    }),
  );
}

Deno.test(
  "sampleFwd() draws the same ids from the same seed and counter",
  withGpu(async (gpu) => {
    const logits = new Random(2).normal(2 * VOCAB_SIZE);
    const draw = { settings: PLAIN, logits, batch: 2, count: 2 * RING };
    const ids = await drawIds(gpu, draw);
    assertEquals(await drawIds(gpu, draw), ids);
    const later = await drawIds(gpu, { ...draw, count: RING, drawn: RING });
    assertEquals(later, ids.map((row) => row.slice(RING)));
    const reseeded = await drawIds(gpu, { ...draw, settings: { ...PLAIN, seed: PLAIN.seed + 1 } });
    assertNotEquals(reseeded, ids);
  }),
);

Deno.test(
  "sampleFwd() draws each batch entry for itself",
  withGpu(async (gpu) => {
    const random = new Random(3);
    const [own, other] = [random.normal(VOCAB_SIZE), random.normal(VOCAB_SIZE)];
    const beside = (second: Float32Array) => Float32Array.of(...own, ...second);
    const draw = { settings: PLAIN, batch: 2, count: RING };
    const [first, second] = await drawIds(gpu, { ...draw, logits: beside(own) });
    assertNotEquals(first, second, "the entries share their random numbers");
    const [again] = await drawIds(gpu, { ...draw, logits: beside(other) });
    assertEquals(again, first, "another entry's logits changed the ids");
    const [alone] = await drawIds(gpu, { ...draw, batch: 1, logits: own });
    assertEquals(alone, first);
  }),
);

Deno.test("encodeSettings() splits the seed into two words", () => {
  assertEquals([...encodeSettings({ ...PLAIN, seed: 2 ** 53 - 1 })].slice(5), [
    0xffffffff,
    0x1fffff,
    0,
  ]);
});

Deno.test(
  "settings beyond what f32 holds draw as their limits do",
  withGpu(async (gpu) => {
    const logits = new Random(5).uniform(VOCAB_SIZE, 0, 90);
    const likeliest = logits.indexOf(Math.max(...logits));
    const draw = async (settings: Partial<SamplerSettings>) => {
      const [ids = []] = await drawIds(gpu, {
        settings: { ...PLAIN, ...settings },
        logits,
        batch: 1,
        count: RING,
      });
      return new Set(ids);
    };
    for (const temperature of [1e-30, 1e-37, 1e-45, 1e-300]) {
      assertEquals(await draw({ temperature }), new Set([likeliest]), `temperature ${temperature}`);
    }
    assertEquals(await draw({ topP: 1e-300 }), new Set([likeliest]));
    assert((await draw({ temperature: 1e300 })).size > RING / 2);
    for (const repetitionPenalty of [1e-300, 1e300]) {
      for (const id of await draw({ repetitionPenalty })) assert(id < VOCAB_SIZE, String(id));
    }
  }),
);
