import { assertEquals, assertRejects } from "@std/assert";
import { loadAudio } from "../../../src/io/datasets/audio.ts";
import { s16, tone, wavFile } from "../audio/wav_file.ts";
import { tarFile } from "../tar_file.ts";

const WAV = wavFile(s16(tone({ silence: 0, length: 100 })));

/** A folder of recordings of these paths. */
async function withFiles(
  paths: readonly string[],
  run: (folder: string) => Promise<void>,
  bytes: Uint8Array = WAV,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of paths) {
      await Deno.mkdir(`${folder}/${path.split("/").slice(0, -1).join("/")}`, { recursive: true });
      await Deno.writeFile(`${folder}/${path}`, bytes);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("loadAudio() takes classes from names, and the test set by its pattern", async () => {
  const paths = ["7_b_5.wav", "1_a_0.wav", "1_a_12.WAV", "7_b_4.wav", "notes.txt", "._1_a_3.wav"];
  await withFiles(paths, async (folder) => {
    const { train, test } = await loadAudio(folder);
    assertEquals(train.classNames, ["1", "7"]);
    assertEquals(train.recordings.map(({ path, label }) => [path, label]), [
      ["1_a_12.WAV", 0],
      ["7_b_5.wav", 1],
    ]);
    assertEquals(test.recordings.map(({ path }) => path), ["1_a_0.wav", "7_b_4.wav"]);
    assertEquals([train.sample_rate, train.recordings[0]?.samples.length], [8000, 100]);
    const other = await loadAudio(folder, { test: "_a_12" });
    assertEquals(other.test.recordings.map(({ label }) => label), [0]);
    await assertRejects(
      () => loadAudio(folder, { test: "(" }),
      RangeError,
      "no regular expression",
    );
    await assertRejects(() => loadAudio(folder, { test: "z" }), SyntaxError, "none match");
  });
});

Deno.test("loadAudio() takes classes from folders, and reads an archive as its folder", async () => {
  const paths = ["train/yes/a.wav", "train/no/b.wav", "test/yes/c.wav", "test/no/d.wav"];
  await withFiles(paths, async (folder) => {
    const found = await loadAudio(folder);
    assertEquals(found.train.classNames, ["no", "yes"]);
    assertEquals(found.test.recordings.map(({ label }) => label), [0, 1]);
    const archive = `${folder}/all.tar`;
    const members = paths.map((path) => ({ path: `./${path}`, bytes: WAV }));
    await Deno.writeFile(archive, tarFile([{ path: "./train/", type: "5" }, ...members]));
    assertEquals(await loadAudio(archive), {
      train: { ...found.train, name: archive },
      test: { ...found.test, name: archive },
    });
  });
});

Deno.test("loadAudio() names the rate that most recordings have, of several the lowest", async () => {
  await withFiles(["1_a_0.wav", "1_a_9.wav", "2_a_9.wav", "2_a_0.wav"], async (folder) => {
    const write = (name: string) =>
      Deno.writeFile(`${folder}/${name}`, wavFile(s16([0, 1]), { sampleRate: 16000 }));
    await write("1_a_0.wav");
    assertEquals((await loadAudio(folder)).test.sample_rate, 8000);
    await write("1_a_9.wav");
    assertEquals((await loadAudio(folder)).train.sample_rate, 8000);
    await write("2_a_9.wav");
    const { train, test } = await loadAudio(folder);
    assertEquals([train.sample_rate, test.sample_rate], [16000, 16000]);
    assertEquals(test.recordings.map(({ sample_rate }) => sample_rate), [16000, 8000]);
  });
});

Deno.test("loadAudio() says what is wrong with a set", async () => {
  const refuses = (paths: string[], kind: typeof SyntaxError, message: string, bytes = WAV) =>
    withFiles(
      paths,
      async (folder) => void await assertRejects(() => loadAudio(folder), kind, message),
      bytes,
    );
  await refuses([], SyntaxError, "no file whose name ends in .wav");
  await refuses(["a.wav", "b.wav"], SyntaxError, "tells no class");
  await refuses(["1_a_0.wav", "1_b_9.wav"], SyntaxError, "two classes or more");
  await refuses(["1_a_0.wav"], SyntaxError, "does not begin with RIFF", new Uint8Array(99));
  await withFiles(["1_a_0.wav", "2_a_9.wav"], async (folder) => {
    for (const sampleRate of [1, 999, 768_001, 0xffffffff]) {
      await Deno.writeFile(`${folder}/2_a_9.wav`, wavFile(s16([0]), { sampleRate }));
      const message = `it has ${sampleRate} samples a second, expected 1000 to 768000`;
      await assertRejects(() => loadAudio(folder), RangeError, message);
    }
    await Deno.writeTextFile(`${folder}/text`, "neither");
    await assertRejects(
      () => loadAudio(`${folder}/text`),
      SyntaxError,
      "neither a folder nor a TAR",
    );
    await assertRejects(() => loadAudio(`${folder}/none`), Deno.errors.NotFound, "no such folder");
    await Deno.writeFile(`${folder}/a.tar.xz`, Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0));
    await assertRejects(() => loadAudio(`${folder}/a.tar.xz`), SyntaxError, "packed with xz");
  });
});
