import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { loadModel } from "../../../mod.ts";
import { audioTask } from "../../../src/train/tasks/audio.ts";
import { s16, tone, wavFile } from "../../io/audio/wav_file.ts";
import { withTones } from "../../train/tasks/tones.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { writeUntrained } from "../untrained_model.ts";
import "../../settle_readbacks.ts";

const WEIGHTS = new URL("../../../weights/spoken-digits", import.meta.url).pathname;
const DIGITS = new URL("../../../../shared/data/spoken-digits", import.meta.url).pathname;

async function run(args: string[], stdin?: Uint8Array<ArrayBuffer>): Promise<FakeTerminal> {
  const terminal = new FakeTerminal(stdin === undefined ? {} : { stdin });
  assertEquals(
    await infer(["classify", ...args, "--backend", "cpu"], terminal),
    0,
    terminal.stderr,
  );
  return terminal;
}

Deno.test("infer() classify --dataset audio counts as the trainer's evaluation does", async () => {
  await withTones(async (data) => {
    const folder = await Deno.makeTempDir();
    try {
      const task = await audioTask({
        ...{ data, heldOut: 0, hyperparameters: { batchSize: 20 } },
        model: { d_model: 8, n_layer: 1, d_state: 4 },
      });
      const { correct, count } = await writeUntrained(folder, task);
      const { stdout } = await run([folder, "--dataset", "audio", "--data", data, "--json"]);
      const result = JSON.parse(stdout);
      assertEquals([result.correct, result.total], [correct, count]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

Deno.test("infer() classify --stream names sounds as they end, and says nothing of silence", async () => {
  const silence = await run([WEIGHTS, "-", "--stream"], s16(new Float32Array(8000)));
  assertEquals(silence.stdout, "");
  const sound = new Float32Array(20_000);
  for (const at of [0, 10_000]) sound.set(tone({ silence: 3000, length: 3000 }), at);
  const raw = await run([WEIGHTS, "-", "--stream", "--json"], s16(sound));
  const lines = raw.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.length, 2);
  for (const [i, { startMs, endMs, latencyMs, label, probabilities }] of lines.entries()) {
    assertAlmostEquals(startMs, 1250 * i + 375 - 64, 40);
    assertAlmostEquals(endMs, 1250 * i + 750, 48);
    // Thirteen frames of silence, and the work.
    assert(latencyMs >= 208);
    assertEquals([probabilities.length, /^\d$/.test(label)], [10, true]);
  }
  const wav = await run([WEIGHTS, "-", "--stream"], wavFile(s16(sound)));
  assertEquals(wav.stdout.split("\n").map((line) => line.split("\t")[1]), [
    ...lines.map(({ label }) => label),
    undefined,
  ]);
  const floats = new Uint8Array(sound.buffer);
  const other = await run([WEIGHTS, "-", "--stream", "--samples", "f32"], floats);
  assertEquals(other.stdout.split("\n").length, 3);
});

Deno.test("infer() classify resamples sound of another rate, and says so once", async () => {
  const options = { silence: 6000, length: 6000 };
  const slow = wavFile(s16(tone({ silence: 3000, length: 3000 })));
  const fast = wavFile(s16(tone({ ...options, sampleRate: 16000 })), { sampleRate: 16000 });
  const note =
    'Note: "stdin" has 16000 samples a second, and this model takes 8000: it is resampled';
  for (const stream of [[], ["--stream"]]) {
    const [own, other] = [
      await run([WEIGHTS, "-", "--json", ...stream], slow),
      await run([WEIGHTS, "-", "--json", ...stream], fast),
    ];
    assertEquals(own.stderr.includes("Note"), false);
    assertEquals(other.stderr.split("\n").filter((line) => line.startsWith("Note")), [note]);
    const [expected, found] = [own, other].map(({ stdout }) => JSON.parse(stdout));
    assertEquals(found.label, expected.label);
    for (const [i, p] of expected.probabilities.entries()) {
      assertAlmostEquals(found.probabilities[i], p, 0.05);
    }
  }
});

Deno.test("infer() classify says what is wrong with sound", async () => {
  const refused = async (args: string[], bytes: Uint8Array<ArrayBuffer>, message: string) => {
    const terminal = new FakeTerminal({ stdin: bytes });
    assertEquals(await infer(["classify", ...args, "--backend", "cpu"], terminal), 1);
    assert(terminal.stderr.includes(message), terminal.stderr);
  };
  const fast = wavFile(s16(new Float32Array(900)), { sampleRate: 1e9 });
  const rate = "it has 1000000000 samples a second, expected 1000 to 768000";
  await refused([WEIGHTS, "-"], fast, rate);
  await refused([WEIGHTS, "-", "--stream"], fast, rate);
  await refused([WEIGHTS.replace("spoken-digits", "mnist"), "-"], fast, "preprocessing for image");
});

Deno.test({
  name: "weights/spoken-digits hears the official test set",
  ignore: !await Deno.stat(DIGITS).then(() => true, () => false),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const unpacking = new Deno.Command("tar", {
        args: ["xJf", `${DIGITS}/recordings.tar.xz`, "-C", folder],
      });
      assert((await unpacking.output()).success);
      const args = [WEIGHTS, "--dataset", "audio", "--data", `${folder}/recordings`, "--split"];
      const { stdout } = await run([...args, "test"]);
      assertEquals(stdout, "297 of 300 correct (99.00%)\n");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("weights/spoken-digits is small", async () => {
  using model = await loadModel(WEIGHTS, { backend: "cpu" });
  assertEquals(model.labels, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  assert((await Deno.stat(`${WEIGHTS}/model.safetensors`)).size < 300_000);
});
