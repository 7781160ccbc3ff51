import { assertEquals, assertNotEquals } from "@std/assert";
import { dataHash } from "../../src/train/data_hash.ts";
import { loadTask } from "../../src/train/tasks/load_task.ts";

Deno.test("dataHash() tells parts by their bytes and by where they end", async () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const base = await dataHash(["ab", bytes(1, 2), bytes(3)]);
  assertEquals(await dataHash(["ab", bytes(0, 1, 2).subarray(1), bytes(3)]), base);
  for (
    const other of [
      ["ab", bytes(1), bytes(2, 3)],
      ["ab", bytes(1, 2, 3)],
      ["ac", bytes(1, 2), bytes(3)],
      ["ab", bytes(3), bytes(1, 2)],
    ]
  ) assertNotEquals(await dataHash(other), base);
  // More than is hashed at once: the last byte counts.
  const long = new Uint8Array(2 ** 24 + 1);
  const before = await dataHash([long]);
  long[2 ** 24] = 1;
  assertNotEquals(await dataHash([long]), before);
});

Deno.test("tasks on text and on series have other hashes for other data of the same size", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const hashOf = async (task: string, files: Record<string, string>) => {
      for (const [name, text] of Object.entries(files)) {
        await Deno.writeTextFile(`${folder}/${name}`, text);
      }
      const { dataHash, summary } = await loadTask(task, {
        data: `${folder}/${Object.keys(files)[0]}`,
        hyperparameters: { batchSize: 1, ...(task === "text" ? { seqlen: 4 } : {}) },
      });
      return { hash: await dataHash?.(), summary };
    };
    const text = (text: string) => hashOf("text", { "a.txt": text.repeat(20) });
    // The second has the ids of the first, of other characters.
    const texts = [await text("abca"), await text("abda"), await text("acba"), await text("abca")];
    const series = (value: string) =>
      hashOf("series", {
        "A_TRAIN.txt": "1 0.5 1\n2 1 0\n",
        "A_TEST.txt": `1 0 ${value}\n2 0 1\n`,
      });
    const all = [await series("0.25"), await series("0.5"), await series("0.25")];
    for (const found of [texts, all]) {
      const [first] = found;
      assertEquals(found.map(({ summary }) => summary === first?.summary), found.map(() => true));
      const same = found.map(({ hash }) => hash === first?.hash);
      assertEquals(same, found.map((_, i) => i === 0 || i === found.length - 1));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
