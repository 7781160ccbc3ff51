import { assert, assertEquals } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { Random } from "../random.ts";

const ROOT = new URL("../../", import.meta.url);

/** What a run leaves, by name; a file that is there must be whole. */
async function files(out: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const name of ["model.safetensors", "training/resume.safetensors"]) {
    try {
      const bytes = await Deno.readFile(`${out}/${name}`);
      using _ = await openSafetensors(fromBytes(name, bytes));
      found.set(name, bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found;
}

function run(folder: string, out: string, resume: boolean): Deno.ChildProcess {
  const where = resume ? ["--resume", out] : ["--out", out];
  const sizes = [
    "--d-model",
    "8",
    "--n-layer",
    "1",
    "--batch-size",
    "2",
    "--seqlen",
    "8",
    "--dropout",
    "0.1",
  ];
  const length = ["--steps", "1500", "--evaluate-every", "5"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "train.ts",
      "text",
      "--data",
      `${folder}/text.txt`,
      ...where,
      ...sizes,
      ...length,
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

Deno.test("a run that is killed again and again leaves whole files, and ends with the bytes of one that was not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    assert((await run(folder, `${folder}/straight`, false).status).success);
    const random = new Random(1);
    const out = `${folder}/killed`;
    let kills = 0;
    let finished = false;
    while (!finished) {
      const child = run(folder, out, (await files(out)).has("training/resume.safetensors"));
      // Starting takes about a second; then a checkpoint follows the other.
      const timer = kills < 20
        ? setTimeout(() => child.kill("SIGKILL"), 700 + 900 * random.next())
        : undefined;
      const { signal, success } = await child.status;
      clearTimeout(timer);
      if (signal === "SIGKILL") kills++;
      else assert(success);
      finished = success;
      await files(out);
    }
    assert(kills >= 5, `only ${kills} kills`);
    assertEquals(await files(out), await files(`${folder}/straight`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
