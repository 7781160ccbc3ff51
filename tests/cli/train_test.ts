import { assert, assertEquals } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("train.ts heeds Ctrl-C within a few steps, and leaves a checkpoint of the last one shown", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const sizes = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
    const length = ["--steps", "1000000", "--evaluate-every", "1000000", "--json"];
    const files = ["--data", `${folder}/text.txt`, "--out", `${folder}/out`];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "train.ts", "text", ...files, ...sizes, ...length],
      ...{ cwd: ROOT, stdin: "null", stdout: "piped", stderr: "null" },
    }).spawn();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text === "") child.kill("SIGINT");
      text += chunk;
    }
    assertEquals((await child.status).code, 130);
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert(lines.length < 10_000, `${lines.length} steps after Ctrl-C`);
    const path = `${folder}/out/training/resume.safetensors`;
    using file = await openSafetensors(fromBytes(path, await Deno.readFile(path)));
    assertEquals(JSON.parse(file.metadata.get("point") ?? "").step, lines.at(-1).step);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
