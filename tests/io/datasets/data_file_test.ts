import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readDataFile, requireMd5 } from "../../../src/io/datasets/data_file.ts";
import { openFile } from "../../../src/io/file_source.ts";
import { openSafetensors } from "../../../src/io/safetensors/safetensors.ts";

Deno.test("readDataFile() reads a file, and says what is wrong with what is none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a b`, "xy");
    await Deno.writeTextFile(`${folder}/empty`, "");
    await Deno.writeTextFile(`${folder}/packed.gz`, "x");
    const url = new URL("a%20b", `file://${folder}/`);
    assertEquals(await readDataFile(`${folder}/a b`, "text"), Uint8Array.of(120, 121));
    assertEquals(await readDataFile(url, "text"), Uint8Array.of(120, 121));
    const cases: [string | URL, new (message?: string) => Error, string][] = [
      [`${folder}/empty`, SyntaxError, `${folder}/empty": it is empty, expected text`],
      [folder, TypeError, `${folder}": it is a folder, expected a file of text`],
      [`${folder}/none`, Deno.errors.NotFound, 'none": there is no such file, expected text'],
      [new URL("none%20", url), Deno.errors.NotFound, 'none ": there is no such file'],
      [`${folder}/empty/x`, Deno.errors.NotFound, "there is no such file"],
      [`${folder}/packed`, Deno.errors.NotFound, `text. Unpack "${folder}/packed.gz" first`],
    ];
    for (const [path, kind, message] of cases) {
      await assertRejects(() => readDataFile(path, "text"), kind, message);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readDataFile() refuses at once what never ends, and what only stands for a file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
    await Deno.symlink(`${folder}/loop`, `${folder}/loop`);
    await Deno.writeTextFile(
      `${folder}/pointer`,
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    );
    await Deno.writeTextFile(`${folder}/page`, "<!doctype html><title>x</title>");
    const cases: [string, new (message?: string) => Error, string][] = [
      [`${folder}/pipe`, TypeError, 'pipe": it is a pipe (fifo), expected a file of text'],
      ["/dev/zero", TypeError, "it is a device"],
      [`${folder}/loop`, Deno.errors.FilesystemLoop, "lead in a circle"],
      [`${folder}/pointer`, SyntaxError, "git lfs pull"],
    ];
    for (const [path, kind, message] of cases) {
      await assertRejects(() => readDataFile(path, "text"), kind, message);
      await assertRejects(() => openFile(path).then((file) => openSafetensors(file)), kind);
    }
    await readDataFile(`${folder}/page`, "text");
    await assertRejects(() => readDataFile(`${folder}/page`, "series"), SyntaxError, "web page");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("requireMd5() tells the published file from any other", () => {
  const bytes = new TextEncoder().encode("abc"), md5 = "900150983cd24fb0d6963f7d28e17f72";
  requireMd5(bytes, "x", { md5, owner: "MNIST" });
  assertThrows(
    () => requireMd5(bytes.subarray(1), "x", { md5, owner: "MNIST" }),
    SyntaxError,
    `2 bytes with MD5 5360af35bde9ebd8f01f492dc059593c, expected ${md5}. The file is not MNIST's`,
  );
});
