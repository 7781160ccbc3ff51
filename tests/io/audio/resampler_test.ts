import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { Resampler } from "../../../src/io/audio/resampler.ts";
import { tone } from "./wav_file.ts";

/** What microphones and files have, and rates that share no factor. */
const RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000, 44101, 6000];

function resampled(samples: Float32Array, from: number, to: number, size = Infinity): number[] {
  const resampler = new Resampler(from, to);
  const made: number[] = [];
  for (let at = 0; at < samples.length; at += size) {
    made.push(...resampler.push(samples.subarray(at, at + size)));
  }
  return [...made, ...resampler.finish()];
}

/** The largest value away from the ends, where silence comes in. */
function loudest(samples: readonly number[]): number {
  return samples.slice(100, -100).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

Deno.test("Resampler gives a tone at any rate as it is at 8,000 samples a second", () => {
  for (const sampleRate of RATES) {
    for (const hertz of [50, 440, 1000, Math.min(3300, 0.41 * sampleRate)]) {
      const options = { silence: 0, hertz, height: 1 };
      const found = resampled(
        tone({ ...options, length: sampleRate / 4 | 0, sampleRate }),
        sampleRate,
        8000,
      );
      const expected = tone({ ...options, length: 2000 });
      assert(Math.abs(found.length - 2000) <= 1, `${found.length} at ${sampleRate}`);
      for (let i = 100; i < 1900; i++) {
        assertAlmostEquals(found[i] ?? NaN, expected[i] ?? NaN, 3e-4, `${hertz} of ${sampleRate}`);
      }
    }
  }
});

Deno.test("Resampler lets nothing through that the new rate cannot hold", () => {
  for (const sampleRate of RATES.filter((rate) => rate > 11025)) {
    for (const hertz of [4100, 4700, 7999].filter((each) => each < sampleRate / 2)) {
      const options = { silence: 0, length: sampleRate / 4 | 0, height: 1, sampleRate };
      assert(loudest(resampled(tone({ ...options, hertz }), sampleRate, 8000)) < 3e-4);
    }
  }
});

Deno.test("Resampler gives the same wherever the samples are cut, and at the same rate as many", () => {
  const samples = new Random(5).normal(3000);
  for (const from of RATES) {
    const whole = resampled(samples, from, 8000);
    assertEquals(whole.length, Math.ceil(3000 * 8000 / from));
    for (const size of [1, 128, 1024]) assertEquals(resampled(samples, from, 8000, size), whole);
  }
});

Deno.test("Resampler refuses rates that are none", () => {
  for (const rate of [0, -1, NaN, Infinity, 0.5]) {
    assertThrows(() => new Resampler(rate, 8000), RangeError, `a rate is ${rate} samples a second`);
    assertThrows(() => new Resampler(8000, rate), RangeError, "expected a whole number above 0");
  }
});
