// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Kills a run of the training command again and again, at random moments, and goes on with it each time: its files must be
 * whole at every moment, and in the end those of a run that nobody killed, to the byte. Where it ends before it was killed
 * often enough, it begins anew in its own place.
 *
 *     deno run -A tools/kill_training.ts [--kills N] [--seed N] [--backend NAME]
 *
 * --kills    how often (default 100)
 * --seed     of the moments (default 1)
 * --backend  what trains: auto, webgpu or cpu (default cpu, the quickest for a run as small as this)
 */

import { parseArgs } from "@std/cli/parse-args";
import { Random } from "../src/checks/random.ts";
import { fromBytes } from "../src/io/byte_source.ts";
import { openSafetensors } from "../src/io/safetensors/safetensors.ts";
import { RUN_FILES } from "../src/train/run/run_files.ts";
import { answerHelp } from "./help.ts";

const ROOT = new URL("../", import.meta.url);

/** What {@linkcode killTraining} is told. */
interface KillOptions {
  /** How often the run is killed. */
  readonly kills: number;
  /** Of the moments. */
  readonly seed: number;
  /** What trains. */
  readonly backend: string;
  /** Is told after each kill. */
  readonly onKill?: (kills: number) => void;
}

/** What came of it. */
interface Killed {
  /** Runs that came to their end, all of them killed on the way. */
  readonly ended: number;
  /** Files that a run has, as each of them was compared. */
  readonly files: number;
  /** Those that were other than without a kill, in any of the runs. */
  readonly differing: readonly string[];
}

/** Of a run: short, so that many end, and their curve, which is drawn at each checkpoint, stays cheap. */
const STEPS = 60;

/**
 * Trains without a kill, then with so many.
 *
 * @throws {Error} If a run fails, or leaves a file that is not whole.
 */
export async function killTraining(
  { kills, seed, backend, onKill }: KillOptions,
): Promise<Killed> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const start = (run: readonly string[]) => startRun(folder, backend, run);
    await checkEnded(start(["--out", `${folder}/straight`]));
    const straight = await filesOf(`${folder}/straight`);
    const random = new Random(seed);
    const out = `${folder}/killed`;
    const differing = new Set<string>();
    let done = 0, ended = 0, hasEnded = false;
    while (done < kills || !hasEnded) {
      const run = hasEnded
        ? ["--out", out, "--overwrite"]
        : [await holdsRun(out) ? "--resume" : "--out", out];
      const child = start(run);
      hasEnded = done === kills ? true : !await killOnce(child, out, random);
      if (hasEnded) {
        await checkEnded(child);
        for (const name of differences(await filesOf(out), straight)) differing.add(name);
        ended++;
      } else {
        await checkWhole(out);
        done++;
        onKill?.(done);
      }
    }
    return { ended, files: straight.size, differing: [...differing] };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function startRun(folder: string, backend: string, run: readonly string[]): Deno.ChildProcess {
  const sizes = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
  const length = ["--steps", String(STEPS), "--evaluate-every", "3", "--dropout", "0.1"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "train.ts", "text", "--data", `${folder}/text.txt`],
      ...[...run, ...sizes, ...length, "--backend", backend],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
}

async function checkEnded(child: Deno.ChildProcess): Promise<void> {
  const { success, code } = await child.status;
  if (!success) throw new Error(`Cannot train: a run ended with code ${code}`);
}

/** Kills a run at a random moment: most soon after a checkpoint, amid steps and others being written, some while it starts. */
async function killOnce(child: Deno.ChildProcess, out: string, random: Random): Promise<boolean> {
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  if (random.next() < 0.2) await wait(500 * random.next());
  else {
    const time = async () =>
      await Deno.stat(`${out}/${RUN_FILES.resume}`).then(({ mtime }) => Number(mtime), () => 0);
    const before = await time();
    while (!hasEnded && await time() === before) await wait(5);
    await wait(60 * random.next());
  }
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It ended by itself, perhaps in this very moment.
    if (!(error instanceof TypeError)) throw error;
  }
  return (await status).signal === "SIGKILL";
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function holdsRun(out: string): Promise<boolean> {
  return await Deno.stat(`${out}/${RUN_FILES.description}`).then(() => true, () => false);
}

/** Refuses a file that is there and not whole. */
async function checkWhole(out: string): Promise<void> {
  for (const name of [RUN_FILES.model, RUN_FILES.resume]) {
    try {
      using _ = await openSafetensors(fromBytes(name, await Deno.readFile(`${out}/${name}`)));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** All files of a folder; metrics have times in them, which differ from run to run. */
async function filesOf(out: string): Promise<Map<string, Uint8Array | undefined>> {
  const found = new Map<string, Uint8Array | undefined>();
  for (const inner of ["", "training/"]) {
    for await (const { name, isFile } of Deno.readDir(`${out}/${inner}`)) {
      if (!isFile) continue;
      const path = inner + name;
      found.set(
        path,
        path === RUN_FILES.metrics ? undefined : await Deno.readFile(`${out}/${path}`),
      );
    }
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}

/** Names of files that one of two runs has not, or has with other bytes. */
function differences(
  found: ReadonlyMap<string, Uint8Array | undefined>,
  expected: ReadonlyMap<string, Uint8Array | undefined>,
): string[] {
  return [...new Set([...found.keys(), ...expected.keys()])].filter((name) =>
    !found.has(name) || !expected.has(name) ||
    found.get(name)?.toHex() !== expected.get(name)?.toHex()
  );
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseArgs([...args], { string: ["kills", "seed", "backend"] });
  const kills = Number(options.kills ?? 100), seed = Number(options.seed ?? 1);
  if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed)) {
    console.error("Cannot use --kills or --seed: expected whole numbers. See --help");
    return 2;
  }
  const start = performance.now();
  const onKill = (done: number) => {
    if (done % 20 === 0) console.error(`${done} of ${kills} kills`);
  };
  const { backend = "cpu" } = options;
  const { ended, files, differing } = await killTraining({ kills, seed, backend, onKill });
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(
    `${kills} kills in ${seconds} s, on which ${ended} runs came to their end: ${files} files each, ` +
      (differing.length === 0 ? "all as without a kill" : `other: ${differing.join(", ")}`),
  );
  return differing.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  Deno.exit(await main(Deno.args));
}
