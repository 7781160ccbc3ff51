import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { frameCount, MelFrames, type MelLayout } from "../../../src/io/audio/mel_frames.ts";
import { resampled } from "../../../src/io/audio/resampler.ts";
import { powerSpectrum } from "../../../src/io/audio/power_spectrum.ts";
import { soundToInput } from "../../../src/io/audio/sound_input.ts";
import { tone } from "./wav_file.ts";

const LAYOUT: MelLayout = {
  ...{ sample_rate: 8000, window: 64, hop: 24, n_mels: 8, f_min: 50, f_max: 4000, floor: 1e-9 },
};

Deno.test("powerSpectrum() is the discrete Fourier transform's", () => {
  for (const length of [1, 2, 8, 64]) {
    const signal = Float64Array.from(new Random(length).normal(length));
    const found = powerSpectrum(signal);
    assertEquals(found.length, length === 1 ? 1 : length / 2 + 1);
    for (const [k, power] of found.entries()) {
      let re = 0, im = 0;
      for (const [t, value] of signal.entries()) {
        re += value * Math.cos(2 * Math.PI * k * t / length);
        im -= value * Math.sin(2 * Math.PI * k * t / length);
      }
      assertAlmostEquals(power, re ** 2 + im ** 2, 1e-10 * length);
    }
  }
  assertThrows(() => powerSpectrum(new Float64Array(3)), RangeError, "expected a power of two");
});

Deno.test("MelFrames puts a tone into the band of its frequency", () => {
  const layout = { ...LAYOUT, window: 256, n_mels: 20 };
  const centre = (band: number) => {
    const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
    const width = (mel(4000) - mel(50)) / 21;
    return 700 * (10 ** ((mel(50) + (band + 1) * width) / 2595) - 1);
  };
  for (const band of [4, 10, 18]) {
    const samples = tone({ silence: 0, length: 256, hertz: centre(band), height: 1 });
    const powers = new MelFrames(layout).push(samples);
    assertEquals(powers.indexOf(Math.max(...powers)), band);
    // The magnitude at a sine's own bin is 1/4 with this window, at the bins beside it 1/8: 1/16, and up to half as much more.
    assertAlmostEquals(Math.max(...powers), 5 / 64, 1 / 64);
  }
});

Deno.test("MelFrames gives the same frames wherever the samples are cut", () => {
  for (const hop of [24, 64, 100]) {
    const layout = { ...LAYOUT, hop };
    const samples = new Random(3).normal(500);
    const whole = new MelFrames(layout).push(samples);
    assertEquals(whole.length, 8 * frameCount(500, layout));
    for (const size of [1, 7, 63, 200]) {
      const frames = new MelFrames(layout);
      const parts: number[] = [];
      for (let at = 0; at < samples.length; at += size) {
        parts.push(...frames.push(samples.subarray(at, at + size)));
      }
      assertEquals(parts, [...whole]);
    }
  }
});

Deno.test("soundToInput() has as many frames as the layout, silence after a short recording", () => {
  const layout = {
    ...{ ...LAYOUT, frames: 5 },
    mean: new Array(8).fill(Math.log(1e-9)),
    std: new Array(8).fill(2),
  };
  const short = soundToInput(new Random(1).normal(70), 8000, layout);
  assertEquals(short.length, 40);
  assertEquals([...short.subarray(8)], new Array(32).fill(0));
  assertEquals(soundToInput(new Random(1).normal(3), 8000, layout).length, 40);
  assertEquals(soundToInput(new Random(1).normal(5000), 8000, layout).length, 40);
  const fast = new Random(1).normal(600);
  assertEquals(
    soundToInput(fast, 44100, layout),
    soundToInput(resampled(fast, 44100, 8000), 8000, layout),
  );
  for (const rate of [0, 999, 8000.5, NaN, 1e9]) {
    const message = `it has ${rate} samples a second, expected 1000 to 768000`;
    assertThrows(() => soundToInput(new Float32Array(9), rate, layout), RangeError, message);
  }
});
