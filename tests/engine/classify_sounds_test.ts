import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { classifySounds, type HeardSound } from "../../mod.ts";
import { Resampler } from "../../src/io/audio/resampler.ts";
import { parseWav } from "../../src/io/audio/wav.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";
import "../settle_readbacks.ts";

const WEIGHTS = new URL("../../weights/spoken-digits/", import.meta.url).pathname;
const { samples: SPOKEN } = parseWav(Deno.readFileSync(`${WEIGHTS}digits.wav`), "digits.wav");

/** Samples as they come: some at a time. */
async function* inPieces(samples: Float32Array): AsyncGenerator<Float32Array> {
  for (let at = 0; at < samples.length; at += 1000) yield samples.subarray(at, at + 1000);
}

const labels = (sounds: readonly HeardSound[]) => sounds.map(({ label }) => label).join("");

eachBackend(
  "classifySounds() names spoken digits at any rate, and no silence",
  async (loadModel) => {
    using model = await loadModel(WEIGHTS);
    const own = await Array.fromAsync(classifySounds(model, inPieces(SPOKEN)));
    assertEquals(labels(own), "0123456789");
    assertEquals(labels(await Array.fromAsync(classifySounds(model, [SPOKEN]))), "0123456789");
    for (const sampleRate of [16000, 44100]) {
      const faster = new Resampler(8000, sampleRate);
      const samples = Float32Array.from([...faster.push(SPOKEN), ...faster.finish()]);
      const found = await Array.fromAsync(classifySounds(model, inPieces(samples), { sampleRate }));
      assertEquals(labels(found), "0123456789");
      for (const [i, { startMs, endMs }] of found.entries()) {
        // A frame more or less.
        assertAlmostEquals(startMs, own[i]?.startMs ?? NaN, 16);
        assertAlmostEquals(endMs, own[i]?.endMs ?? NaN, 16);
      }
    }
    const silence = new Float32Array(16000);
    assertEquals(await Array.fromAsync(classifySounds(model, [silence])), []);
  },
);

eachBackend(
  "classifySounds() refuses what is no rate, and models of other things",
  async (loadModel) => {
    using model = await loadModel(WEIGHTS);
    const first = (sampleRate: number) => classifySounds(model, [SPOKEN], { sampleRate }).next();
    await assertRejects(() => first(0.5), RangeError, "a rate is 0.5 samples a second");
    using other = await loadModel(goldenPath("classifier"));
    await assertRejects(
      () => classifySounds(other, [SPOKEN]).next(),
      TypeError,
      'expected "audio"',
    );
  },
);

eachBackend("classifySounds() ends with its signal where no sample comes", async (loadModel) => {
  using model = await loadModel(WEIGHTS);
  const controller = new AbortController();
  let isOpen = false;
  const microphone = async function* () {
    isOpen = true;
    try {
      yield SPOKEN.subarray(0, 10_900);
      await new Promise((resolve) => controller.signal.addEventListener("abort", resolve));
      yield SPOKEN;
    } finally {
      isOpen = false;
    }
  };
  const found: string[] = [];
  const reason = new Error("enough");
  await assertRejects(
    async () => {
      for await (
        const { label } of classifySounds(model, microphone(), { signal: controller.signal })
      ) {
        found.push(label);
        setTimeout(() => controller.abort(reason), 0);
      }
    },
    Error,
    "enough",
  );
  assertEquals(found, ["0"]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert(!isOpen);
});
