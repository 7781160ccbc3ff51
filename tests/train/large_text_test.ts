import { assert, assertEquals, assertLess } from "@std/assert";
import { START } from "../../src/train/batches.ts";
import { largeTextTask, TEXT_PRESETS, textTask } from "../../src/train/tasks/text.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";

const MIB = 2 ** 20;

Deno.test("largeTextTask() gives the batches of the same text in memory", async () => {
  const path = await Deno.makeTempFile();
  try {
    const lines = (i: number) => `Abc ${i * i}, déf! 语\r\n${i % 97 === 0 ? "\ufeff" : ""}`;
    await Deno.writeTextFile(path, Array.from({ length: 2000 }, (_, i) => lines(i)).join(""));
    const tokenizers = [undefined, "neox", "llama"].map((name) =>
      name && goldenPath(`tokenizers/${name}.json`)
    );
    for (
      const [carryState, tokenizer] of tokenizers.flatMap((t) => [[false, t], [true, t]] as const)
    ) {
      const hyperparameters = { batchSize: 4, seqlen: 32, carryState };
      const options = { data: path, hyperparameters, ...(tokenizer && { tokenizer }) };
      const small = await textTask(options);
      const preset = defined(TEXT_PRESETS[0]);
      const large = await largeTextTask(path, { ...preset, settings: small.defaults }, options);
      assertEquals(large.config, small.config);
      assertEquals([large.tokenizer, large.summary], [small.tokenizer, small.summary]);
      assertEquals(large.notes, small.notes);
      for (const part of ["train", "validation"] as const) {
        let position = START;
        for (let i = 0; i < 5; i++) {
          const batch = large[part].batch(position);
          assertEquals(batch, small[part].batch(position));
          position = batch.next;
        }
      }
      assert(/^[0-9a-f]{64}$/.test(await large.dataHash?.() ?? ""));
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("train text takes no more memory for 300 MB than for 1", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const line = new TextEncoder().encode("The quick brown fox jumps over the lazy dog, é 语.\n");
    const piece = new Uint8Array(MIB);
    for (let at = 0; at + line.length <= MIB; at += line.length) piece.set(line, at);
    piece.fill(0x20, MIB - MIB % line.length);
    const peak = async (pieces: number) => {
      const data = `${folder}/${pieces}.txt`;
      const file = await Deno.open(data, { write: true, create: true });
      for (let i = 0; i < pieces; i++) await file.write(piece);
      file.close();
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", new URL("fixture_peak_memory.ts", import.meta.url).pathname],
          ...["text", "--data", data, "--out", `${folder}/run${pieces}`, "--backend", "cpu"],
          ...["--steps", "3", "--batch-size", "4", "--seqlen", "32", "--eval-batches", "2"],
          ...["--d-model", "16", "--n-layer", "1", "--threads", "1"],
        ],
        stderr: "inherit",
      }).output();
      await Deno.remove(data);
      assert(success);
      return Number(new TextDecoder().decode(stdout).trim().split("\n").at(-1));
    };
    const small = await peak(1), large = await peak(300);
    assertLess(large - small, 60, `${small} and ${large} MiB`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
