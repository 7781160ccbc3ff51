import { assertEquals, assertRejects } from "@std/assert";
import { resampled } from "../../../src/io/audio/resampler.ts";
import { sampleStream } from "../../../src/io/audio/sample_stream.ts";
import { s16, wavFile } from "./wav_file.ts";

const RAW = { encoding: "s16", channels: 1, sample_rate: 8000 } as const;

async function samplesOf(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
): Promise<{ samples: number[]; rates: number[] }> {
  const rates: number[] = [];
  const source = async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  };
  const samples: number[] = [];
  for await (const piece of sampleStream(source(), "stdin", RAW, (rate) => rates.push(rate))) {
    samples.push(...piece);
  }
  return { samples, rates };
}

Deno.test("sampleStream() reads raw samples, and a WAV file's, however they come", async () => {
  const bytes = s16([0.5, -0.25, 1, -1]);
  const expected = [16384, -8192, 32767, -32767].map((value) => Math.fround(value / 32768));
  const trailing = new Uint8Array([...wavFile(bytes), 1, 2, 3, 4]);
  const endless = wavFile(bytes, { stated: 0xffffffff });
  const slow = wavFile(bytes, { sampleRate: 6000 });
  const more = [...resampled(Float32Array.from(expected), 6000, 8000)];
  for (const size of [1, 3, 5, 100]) {
    assertEquals(await samplesOf(bytes, size), { samples: expected, rates: [8000] });
    for (const file of [trailing, endless]) {
      assertEquals(await samplesOf(file, size), { samples: expected, rates: [8000] });
    }
    assertEquals(await samplesOf(slow, size), { samples: more, rates: [6000] });
  }
  assertEquals(await samplesOf(s16([0.5]), 9), { samples: [0.5], rates: [8000] });
  assertEquals(await samplesOf(new Uint8Array(), 9), { samples: [], rates: [] });
});

Deno.test("sampleStream() refuses a WAV file that ends in its header, and no numbers", async () => {
  await assertRejects(() => samplesOf(wavFile(s16([1])).slice(0, 20), 6), SyntaxError, "20 bytes");
  const bad = wavFile(new Uint8Array(Float32Array.of(0, Infinity).buffer), { bits: 32, code: 3 });
  await assertRejects(() => samplesOf(bad, 7), RangeError, "sample 1 is Infinity");
});
