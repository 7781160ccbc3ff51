// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Kills a run of the training command again and again, at random moments, and goes on with it each time: its files must be
 * whole at every moment, and in the end those of a run that nobody killed, to the byte.
 *
 *     deno run -A tools/kill_training.ts [--kills N] [--seed N] [--backend NAME]
 *
 * --kills    how often (default 100); the tests do it 20 times, and a thousand take hours on a software adapter
 * --seed     of the moments (default 1)
 * --backend  what trains: auto, webgpu or cpu (default auto)
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
  /** The names of files, and their bytes where they must be equal, of the run that was killed ... */
  readonly killed: ReadonlyMap<string, Uint8Array | undefined>;
  /** ... and of the one that was not. */
  readonly straight: ReadonlyMap<string, Uint8Array | undefined>;
}

/**
 * Trains twice, once with kills.
 *
 * @throws {Error} If the run ends before it was killed so often, fails, or leaves a file that is not whole.
 */
export async function killTraining(
  { kills, seed, backend, onKill }: KillOptions,
): Promise<Killed> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    // More steps than the kills leave time for: most come soon after a checkpoint, one every 3 steps.
    const steps = Math.max(1000, 50 * kills);
    const start = (name: string, resume: boolean) =>
      startRun(folder, steps, [
        ...[resume ? "--resume" : "--out", `${folder}/${name}`],
        ...["--backend", backend],
      ]);
    const straight = start("straight", false).status;
    const random = new Random(seed);
    const out = `${folder}/killed`;
    for (let kill = 0; kill < kills; kill++) {
      if (!await killOnce(start("killed", await holdsRun(out)), out, random)) {
        throw new Error(`Cannot kill the run ${kills} times: it ended before kill ${kill + 1}`);
      }
      await checkWhole(out);
      onKill?.(kill + 1);
    }
    const last = await start("killed", await holdsRun(out)).status;
    if (!last.success || !(await straight).success) throw new Error("Cannot train: a run failed");
    return { killed: await filesOf(out), straight: await filesOf(`${folder}/straight`) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function startRun(folder: string, steps: number, run: readonly string[]): Deno.ChildProcess {
  const sizes = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
  const length = ["--steps", String(steps), "--evaluate-every", "3", "--dropout", "0.1"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "train.ts", "text", "--data", `${folder}/text.txt`],
      ...[...run, ...sizes, ...length],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
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
  if (!hasEnded) child.kill("SIGKILL");
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
  const { backend = "auto" } = options;
  const { killed, straight } = await killTraining({ kills, seed, backend, onKill });
  const names = new Set([...killed.keys(), ...straight.keys()]);
  const differing = [...names].filter((name) =>
    !killed.has(name) || !straight.has(name) ||
    killed.get(name)?.toHex() !== straight.get(name)?.toHex()
  );
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(
    `${kills} kills in ${seconds} s: ${names.size} files, ` +
      (differing.length === 0 ? "all as without a kill" : `other: ${differing.join(", ")}`),
  );
  return differing.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  Deno.exit(await main(Deno.args));
}
