import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { measureCloseness } from "../../../src/checks/closeness.ts";
import { MODEL_CASES } from "../../../src/checks/cases.ts";
import { Random } from "../../../src/checks/random.ts";
import { softplus } from "../../../src/checks/reference/activations.ts";
import { conv1dFwd } from "../../../src/checks/reference/conv1d.ts";
import {
  mambaModelFwd,
  type MambaOutput,
  type MambaState,
} from "../../../src/checks/reference/mamba.ts";
import { sampleDistribution } from "../../../src/checks/reference/sampling.ts";
import { threefry2x32 } from "../../../src/checks/reference/threefry.ts";
import { logSoftmax, tokenScore } from "../../../src/checks/reference/token_score.ts";

const EXACT = { rtol: 1e-12, atol: 1e-12 };

Deno.test("threefry2x32() gives the published known answers", () => {
  // Random123's kat_vectors, "threefry2x32 20".
  assertEquals(threefry2x32([0, 0], [0, 0]), [0x6b200159, 0x99ba4efe]);
  const ones = 0xffffffff;
  assertEquals(threefry2x32([ones, ones], [ones, ones]), [0x1cb996fc, 0xbb002be7]);
  // Counter and key are the digits of pi.
  assertEquals(
    threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3]),
    [0xc4923a9c, 0x483df7a0],
  );
});

Deno.test("softplus() keeps its relative precision far below zero", () => {
  assertClose([softplus(-30)], [Math.exp(-30)], { name: "softplus(-30)", rtol: 1e-12, atol: 0 });
  assertEquals(softplus(800), 800);
});

Deno.test("conv1dFwd() keeps the last d_conv inputs, the newest last", () => {
  const shape = { batch: 1, seqlen: 2, d_inner: 1, d_conv: 3 };
  const { y, conv_state } = conv1dFwd([5, 6], [1, 10, 100], [-1], [1, 2, 3], shape);
  assertEquals([...conv_state], [3, 5, 6]);
  // The window at the first step is [2, 3, 5]: 2 + 30 + 500 - 1; SiLU leaves such numbers as they
  // are.
  assertClose(y, [531, 652], { name: "y", ...EXACT });
});

Deno.test("tokenScore() ranks equal logits by lower id", () => {
  const logits = [2, 3, 2, 2, -Infinity];
  assertEquals([0, 1, 2, 3, 4].map((id) => tokenScore(logits, id).rank), [1, 0, 2, 3, 4]);
  const uniform = tokenScore([7, 7, 7, 7], 2);
  assertClose([uniform.logprob, uniform.entropy], [-Math.log(4), Math.log(4)], {
    name: "uniform",
    ...EXACT,
  });
  assertClose(logSoftmax([1000, 1000 - Math.log(3)]).map(Math.exp), [0.75, 0.25], {
    name: "large logits",
    ...EXACT,
  });
});

Deno.test("sampleDistribution() applies each filter as Hugging Face does", () => {
  const probabilities = [0.1, 0.4, 0.2, 0.25, 0.05];
  const logits = probabilities.map(Math.log);
  const check = (
    name: string,
    settings: Parameters<typeof sampleDistribution>[2],
    expected: number[],
    seen: number[] = [],
    realVocabSize = 5,
  ) =>
    assertClose(sampleDistribution(logits, seen, settings, realVocabSize), expected, {
      name,
      ...EXACT,
    });
  check("no filter", {}, probabilities);
  check("padding", {}, [0.1 / 0.7, 0.4 / 0.7, 0.2 / 0.7, 0, 0], [], 3);
  check("greedy", { temperature: 0 }, [0, 1, 0, 0, 0]);
  const squares = probabilities.map((p) => p * p);
  const total = squares.reduce((a, b) => a + b);
  check("temperature 1/2", { temperature: 0.5 }, squares.map((p) => p / total));
  check("top-k", { topK: 2 }, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]);
  check("top-k past the vocabulary", { topK: 9 }, probabilities);
  check("top-p keeps the token that crosses", { topP: 0.5 }, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]);
  check("top-p keeps at least one", { topP: 0.01 }, [0, 1, 0, 0, 0]);
  check("min-p", { minP: 0.45 }, [0, 0.4 / 0.85, 0.2 / 0.85, 0.25 / 0.85, 0]);
  // Renormalized after top-k, 0.4 and 0.25 are 0.615 and 0.385: the first alone reaches 0.6.
  check("top-k, then top-p", { topK: 2, topP: 0.6 }, [0, 1, 0, 0, 0]);
});

Deno.test("sampleDistribution() penalizes each seen token once, by the sign of its logit", () => {
  const expected = [1, -4, 3, 0].map(Math.exp);
  const total = expected.reduce((a, b) => a + b);
  assertClose(
    sampleDistribution([2, -2, 3, 0], [0, 1, 1, 3, 0], { repetitionPenalty: 2 }, 4),
    expected.map((p) => p / total),
    { name: "penalized", ...EXACT },
  );
  // The penalty comes before the choice, so it moves a greedy one.
  const greedy = { temperature: 0, repetitionPenalty: 2 };
  assertEquals([...sampleDistribution([2, 1.5], [0], greedy, 2)], [0, 1]);
});

for (const { name, config } of MODEL_CASES) {
  Deno.test(`mambaModelFwd() is the same in any split and any batch: ${name}`, () => {
    const random = new Random(1);
    const weights = random.mambaWeights(config);
    const [batch, seqlen] = [2, 9];
    const { input } = config;
    const width = input.kind === "linear" ? input.d_input : 1;
    const inputs = input.kind === "linear"
      ? random.normal(batch * seqlen * width)
      : random.ids(batch * seqlen, input.vocab_size);
    const whole = mambaModelFwd(weights, config, inputs, { batch, seqlen });

    for (let b = 0; b < batch; b++) {
      const own = inputs.slice(b * seqlen * width, (b + 1) * seqlen * width);
      const logits: number[] = [];
      let [start, state]: [number, MambaState | undefined] = [0, undefined];
      for (const length of [1, 1, 4, 3]) {
        const part: MambaOutput = mambaModelFwd(
          weights,
          config,
          own.slice(start * width, (start + length) * width),
          { batch: 1, seqlen: length },
          state,
        );
        logits.push(...part.logits);
        [start, state] = [start + length, part.state];
      }
      const columns = whole.logits.length / batch;
      const expected = whole.logits.subarray(b * columns, (b + 1) * columns);
      assertClose(logits, expected, { name: `logits of sequence ${b}`, ...EXACT });
    }
    const [first, second] = [0, 1].map((b) => whole.logits.slice(b * whole.logits.length / 2)[0]);
    assertNotEquals(first, second);
  });
}

Deno.test("assertClose() refuses NaN, other lengths and errors past the limit", () => {
  const limits = { name: "x", rtol: 0.1, atol: 0 };
  assertClose([1.05, Infinity], [1, Infinity], limits);
  assertThrows(() => assertClose([NaN], [NaN], limits), Error, "Infinity x");
  assertThrows(() => assertClose([1, 2], [1], limits), Error, "the length is 2, expected 1");
  assertThrows(() => assertClose([1, 2.5], [1, 2], limits), Error, "index 1 of 2: 2.5, expected 2");
  assertThrows(() => assertClose([1], [Infinity], limits), Error, "index 0");
  const { worst, nmse } = measureCloseness([1, 4.2], [0.9, 4], { rtol: 0, atol: 0.1 });
  assertClose([worst, nmse], [2, 0.05 / 16.81], { name: "measured", ...EXACT });
});
