import { assert, assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { SampleReader } from "../../../src/io/audio/samples.ts";
import { isWav, parseWav, parseWavHeader } from "../../../src/io/audio/wav.ts";
import { joinBytes, le } from "../join_bytes.ts";
import { s16, wavFile } from "./wav_file.ts";

const FLOATS = new Uint8Array(Float32Array.of(0.25, -1, 0.5, 1).buffer);

Deno.test("parseWav() reads whole numbers of 8 to 32 bits, and floats", () => {
  const cases: [Uint8Array<ArrayBuffer>, number[]][] = [
    [wavFile(Uint8Array.of(128, 0, 192), { bits: 8 }), [0, -1, 0.5]],
    [wavFile(Uint8Array.of(0, 0, 0, 0x80, 0, 0x40)), [0, -1, 0.5]],
    [wavFile(Uint8Array.of(0, 0, 0x80, 0, 0, 0x40), { bits: 24 }), [-1, 0.5]],
    [wavFile(Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0x40), { bits: 32 }), [-1, 0.5]],
    [wavFile(FLOATS, { bits: 32, code: 3 }), [0.25, -1, 0.5, 1]],
  ];
  for (const [bytes, expected] of cases) {
    assert(isWav(bytes));
    const { samples, sample_rate } = parseWav(bytes, "a.wav");
    assertEquals([[...samples], sample_rate], [expected, 8000]);
  }
});

Deno.test("parseWav() takes the mean of channels, and passes over other chunks", () => {
  const between = joinBytes("LIST", le(3, 4), "abc", 0);
  const bytes = wavFile(FLOATS, {
    ...{ bits: 32, code: 3, channels: 2, sampleRate: 16000 },
    between: new Uint8Array(between),
  });
  assertEquals(parseWav(bytes, "a.wav").samples, Float32Array.of(-0.375, 0.75));
  assertEquals(parseWav(bytes, "a.wav").sample_rate, 16000);
});

Deno.test("parseWav() reads what a recorder wrote that did not know the length", () => {
  const bytes = wavFile(s16([0, 0.5]), { stated: 0xffffffff });
  assertEquals(parseWav(bytes, "a.wav").samples.length, 2);
});

Deno.test("parseWav() says what is wrong with a file", () => {
  const good = wavFile(s16([0, 0.5]));
  const cases: [Uint8Array<ArrayBuffer>, string][] = [
    [new Uint8Array(20), "does not begin with RIFF"],
    [good.slice(0, 8), "ends after 8 bytes"],
    [good.slice(0, 30), "ends after 30 bytes"],
    [good.slice(0, 46), "cut short"],
    [wavFile(new Uint8Array()), "no samples"],
    [wavFile(s16([0]), { code: 2, bits: 8 }), "format 2 in 8 bits"],
    [wavFile(s16([0]), { channels: 0 }), "0 channels"],
    [wavFile(s16([0]), { sampleRate: 0 }), "0 samples a second"],
    [
      wavFile(new Uint8Array(Float32Array.of(NaN).buffer), { bits: 32, code: 3 }),
      "sample 0 is NaN",
    ],
  ];
  for (const [bytes, message] of cases) {
    assertThrows(() => parseWav(bytes, "a.wav"), SyntaxError, message);
  }
});

Deno.test("parseWav() gives a value or a SyntaxError for any bytes", () => {
  const random = new Random(7);
  const whole = wavFile(s16([0, 0.1, 0.2, 0.3]), {
    between: new Uint8Array(joinBytes("LIST", le(4, 4), "abcd")),
  });
  for (let i = 0; i < 20_000; i++) {
    const bytes = whole.slice(0, Math.ceil(random.next() * whole.length));
    for (let n = random.next() * 4; n > 0; n--) {
      bytes[Math.floor(random.next() * bytes.length)] = random.next() * 256;
    }
    try {
      parseWav(bytes, "evil");
    } catch (error) {
      assert(error instanceof SyntaxError, String(error));
    }
  }
});

Deno.test("parseWavHeader() asks for more of a stream, but not without end", () => {
  const bytes = wavFile(s16([0, 0.5]));
  for (let length = 0; length < 44; length++) {
    assertEquals(parseWavHeader(bytes.subarray(0, length), "a"), undefined);
  }
  assertEquals(parseWavHeader(bytes.subarray(0, 44), "a")?.dataStart, 44);
  const endless = joinBytes("RIFF", le(0, 4), "WAVE", "junk", le(2 ** 31, 4));
  assertThrows(() => parseWavHeader(new Uint8Array(endless), "a"), SyntaxError, 'no "data"');
});

Deno.test("SampleReader gives the same samples wherever the bytes are cut", () => {
  const bytes = s16([0.1, -0.2, 0.3, -0.4, 0.5, -0.6]);
  const format = { encoding: "s16", channels: 2 } as const;
  const whole = new SampleReader(format).push(bytes);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new SampleReader(format);
    const parts = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
    assertEquals(parts, [...whole]);
  }
});
