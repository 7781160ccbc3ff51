import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { type Sound, Sounds, type StreamLayout } from "../../../src/io/audio/sounds.ts";
import { defined } from "../../defined.ts";
import { tone } from "./wav_file.ts";

const LAYOUT: StreamLayout = {
  ...{ sample_rate: 8000, window: 256, hop: 128, n_mels: 8, f_min: 60, f_max: 4000, floor: 1e-9 },
  ...{ frames: 60, margin_db: 12, lead_frames: 4, end_frames: 13 },
  ...{ mean: new Array(8).fill(0), std: new Array(8).fill(1) },
};

function soundsOf(samples: Float32Array, size = samples.length): Sound[] {
  const sounds = new Sounds(LAYOUT);
  const found: Sound[] = [];
  for (let at = 0; at < samples.length; at += size) {
    found.push(...sounds.push(samples.subarray(at, at + size)));
  }
  return [...found, ...sounds.finish()];
}

/** The same with a microphone's noise. */
function noisy(samples: Float32Array, height: number): Float32Array {
  const noise = new Random(5).normal(samples.length, height);
  return samples.map((value, i) => value + (noise[i] ?? 0));
}

Deno.test("Sounds finds each sound of a stream, and none in silence or steady noise", () => {
  assertEquals(soundsOf(new Float32Array(16000)), []);
  assertEquals(soundsOf(noisy(new Float32Array(80_000), 0.01)), []);
  const two = new Float32Array(24_000);
  two.set(tone({ silence: 4000, length: 2400 }));
  two.set(tone({ silence: 4000, length: 3200, height: 0.05 }), 10_000);
  for (const stream of [two, noisy(two, 0.001)]) {
    const found = soundsOf(stream);
    assertEquals(found.length, 2);
    const places = [[4000, 6400], [14_000, 17_200]] as const;
    for (const [i, [start, end]] of places.entries()) {
      const sound = defined(found[i]);
      // Six frames before the first loud ones are known as such, four of them its lead.
      assertAlmostEquals(sound.start, start - 640, 256);
      assertAlmostEquals(sound.end, end, 384);
      assertEquals(sound.heard - sound.end, 13 * 128);
      assertEquals(sound.input.length, 60 * 8);
    }
  }
});

Deno.test("Sounds passes over a click, cuts what does not end, and ends with the stream", () => {
  assertEquals(soundsOf(tone({ silence: 4000, length: 60 })), []);
  const long = soundsOf(tone({ silence: 4000, length: 40_000 }));
  assertEquals(long.length, 1);
  assertEquals(long[0]?.heard, (long[0]?.start ?? 0) + 59 * 128 + 256);
  const open = soundsOf(tone({ silence: 4000, length: 2400 }).subarray(0, 6000));
  assertEquals(open.length, 1);
});

Deno.test("Sounds finds the same wherever the samples are cut", () => {
  const stream = noisy(tone({ silence: 3000, length: 2400 }), 0.001);
  const whole = soundsOf(stream);
  assertEquals(whole.length, 1);
  for (const size of [1, 100, 128, 4096]) assertEquals(soundsOf(stream, size), whole);
});
