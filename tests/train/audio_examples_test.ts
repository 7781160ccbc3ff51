import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { AudioPreprocessing } from "../../src/model/config/config.ts";
import { soundToInput } from "../../src/io/audio/sound_input.ts";
import {
  audioExamples,
  audioFrames,
  audioStandardization,
  pickFrames,
} from "../../src/train/audio_examples.ts";
import { tone } from "../io/audio/wav_file.ts";

const LAYOUT: Omit<AudioPreprocessing, "mean" | "std"> = {
  ...{ kind: "audio", sample_rate: 8000, window: 64, hop: 32, n_mels: 6, f_min: 60, f_max: 4000 },
  ...{ floor: 1e-9, frames: 20, margin_db: 12, lead_frames: 2, end_frames: 5 },
};
const STILL = {
  ...{ seed: 1, stretch: 0, pitch: 0, delay: 0, gain_db: 0, noise_db: -200, mask: 0 },
};
const RECORDINGS = [300, 400, 900].map((length, label) => ({
  path: `${label}_a.wav`,
  sample_rate: 8000,
  samples: tone({ silence: 0, length, hertz: 500 * (1 + label) }),
  label,
}));
const DATA = {
  ...{ name: "tones", sample_rate: 8000, classNames: ["0", "1", "2"] },
  recordings: RECORDINGS,
};

function examplesOf(augmentation?: Parameters<typeof audioExamples>[2]) {
  const frames = audioFrames(DATA, LAYOUT);
  const layout = { ...LAYOUT, ...audioStandardization(frames, LAYOUT) };
  return { layout, examples: audioExamples(frames, layout, augmentation) };
}

const draws = (epoch: number) => [0, 1, 2].map((example) => ({ example, epoch }));

Deno.test("audioExamples() are what classification makes of the recordings", () => {
  const { layout, examples } = examplesOf();
  const { inputs, targets } = examples.read(draws(0));
  assertEquals([examples.count, examples.seqlen, ...targets], [3, 20, 0, 1, 2]);
  const expected = RECORDINGS.flatMap(({ samples }) => [...soundToInput(samples, 8000, layout)]);
  assertEquals([...inputs], expected);
});

Deno.test("audioExamples() changes nothing where nothing may change", () => {
  const plain = examplesOf().examples.read(draws(0)).inputs as Float32Array;
  const still = examplesOf(STILL).examples.read(draws(3)).inputs as Float32Array;
  for (const [i, value] of plain.entries()) assertAlmostEquals(still[i] ?? NaN, value, 1e-4);
});

Deno.test("audioExamples() changes recordings anew each epoch, and the same in each run", () => {
  const changes = {
    ...STILL,
    stretch: 0.2,
    pitch: 0.1,
    delay: 4,
    gain_db: 6,
    noise_db: -40,
    mask: 2,
  };
  const [first, again, next] = [0, 0, 1].map((epoch) =>
    examplesOf(changes).examples.read(draws(epoch)).inputs as Float32Array
  );
  assertEquals(first, again);
  assert(first?.some((value, i) => value !== next?.[i]));
  assert(first?.every(Number.isFinite));
});

Deno.test("audioStandardization() leaves out the silence after recordings", () => {
  const { layout, examples } = examplesOf();
  const { inputs } = examples.read(draws(0));
  const { lengths } = audioFrames(DATA, LAYOUT);
  let sum = 0, count = 0;
  for (const [i, length] of lengths.entries()) {
    for (let t = 0; t < length; t++, count++) sum += inputs[(i * 20 + t) * layout.n_mels] ?? NaN;
  }
  assertAlmostEquals(sum / count, 0, 1e-3);
  const recordings = RECORDINGS.map((each) => ({ ...each, samples: new Float32Array(90) }));
  assertThrows(
    () => audioStandardization(audioFrames({ ...DATA, recordings }, LAYOUT), LAYOUT),
    RangeError,
    "one and the same power",
  );
});

Deno.test("pickFrames() keeps recordings, lengths and classes together", () => {
  const all = audioFrames(DATA, LAYOUT);
  const odd = pickFrames(all, (index) => index !== 1);
  assertEquals([odd.count, [...odd.labels], [...odd.lengths]], [
    2,
    [0, 2],
    [all.lengths[0], all.lengths[2]],
  ]);
  const size = 20 * LAYOUT.n_mels;
  assertEquals(odd.powers.subarray(size), all.powers.subarray(2 * size));
});
