import { assert, assertEquals } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";
import { Random } from "../../src/checks/random.ts";

const ROOT = new URL("../../", import.meta.url);
const KILLS = 20;
const RESUME_FILE = "training/resume.safetensors";

/** What a run leaves, by name; a file that is there must be whole. */
async function files(out: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const name of ["model.safetensors", RESUME_FILE]) {
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

async function names(out: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of [".", "training"]) {
    for await (const { name } of Deno.readDir(`${out}/${folder}`)) found.push(`${folder}/${name}`);
  }
  return found.sort();
}

function run(folder: string, out: string, resume: boolean): Deno.ChildProcess {
  const sizes = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
  const length = ["--steps", "1000", "--evaluate-every", "3", "--dropout", "0.1"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "train.ts", "text", "--data", `${folder}/text.txt`],
      ...[resume ? "--resume" : "--out", out, ...sizes, ...length],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
}

/** Resolves when a run writes its next checkpoint, or has ended. */
async function nextCheckpoint(out: string, ended: () => boolean): Promise<void> {
  const time = async () =>
    await Deno.stat(`${out}/${RESUME_FILE}`).then(({ mtime }) => Number(mtime), () => 0);
  const before = await time();
  while (!ended() && await time() === before) await wait(5);
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Kills a run at a random moment: most soon after a checkpoint, amid steps and others being written, some while it starts. */
async function killed(child: Deno.ChildProcess, out: string, random: Random): Promise<boolean> {
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  if (random.next() < 0.2) await wait(500 * random.next());
  else {
    await nextCheckpoint(out, () => hasEnded);
    await wait(60 * random.next());
  }
  if (!hasEnded) child.kill("SIGKILL");
  return (await status).signal === "SIGKILL";
}

Deno.test("a run that is killed 20 times leaves whole files at every moment, and ends with the bytes of one that was not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const straight = run(folder, `${folder}/straight`, false).status;
    const random = new Random(1);
    const out = `${folder}/killed`;
    const resumes = async () => (await files(out)).has(RESUME_FILE);
    for (let kill = 0; kill < KILLS; kill++) {
      const child = run(folder, out, await resumes());
      assert(await killed(child, out, random), `the run ended before kill ${kill + 1}`);
    }
    assert((await run(folder, out, await resumes()).status).success);
    assert((await straight).success);
    assertEquals(await files(out), await files(`${folder}/straight`));
    assertEquals(await names(out), await names(`${folder}/straight`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
