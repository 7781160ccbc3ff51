/** The folder of a run: whose it is, and everything that is written to it. */

import { isLeftover, writeWhole } from "../../io/write_whole.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import type { Backend } from "../../model/executor.ts";
import type { NamedValues } from "../../model/training_executor.ts";
import {
  readModel,
  readResumePoint,
  type ResumePoint,
  writeDescription,
  writeModel,
  writeResumePoint,
} from "./checkpoint.ts";
import { lossCurve } from "./loss_curve.ts";
import { type MetricsLog, openMetrics, toMetrics } from "./metrics.ts";
import {
  continuedRun,
  describeRun,
  readRun,
  type RunDescription,
  writeRun,
} from "./run_description.ts";
import { RUN_FILES } from "./run_files.ts";
import { lockFolder } from "./run_lock.ts";
import type { Hyperparameters, Task } from "../task.ts";
import type { TrainingStep } from "../training_step.ts";

/** What is to become of a run that a folder holds. */
export interface RunFolderOptions {
  /** It is gone on with. */
  readonly resume?: boolean | undefined;
  /** It gives way, once the new run has done a step. */
  readonly overwrite?: boolean | undefined;
}

/**
 * Takes a folder for a run, until disposed: nobody else can train into it. Nothing of another run is touched yet.
 *
 * @throws {TypeError} If the folder holds something else, or a run that the options say nothing about.
 * @throws {Deno.errors.NotFound} If there is no run to resume.
 * @throws {Error} If another run holds it.
 */
export async function openRunFolder(
  folder: string,
  options: RunFolderOptions = {},
): Promise<RunFolder> {
  if (options.resume && options.overwrite) {
    throw new TypeError(`Cannot train into "${folder}": resume and overwrite exclude each other`);
  }
  await checkFolder(folder, options);
  const lock = await lockFolder(folder);
  try {
    // Another run may have begun, or ended, while the lock was asked for.
    await checkFolder(folder, options);
    await removeLeftovers(folder);
    return new RunFolder(folder, lock, options.resume ? await readRun(folder) : undefined);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** A run as it begins here. */
interface BegunRun {
  /** Its settings. */
  readonly settings: Hyperparameters;
  /** Where it goes on from; undefined for the start, and where it was killed before its first checkpoint. */
  readonly point?: ResumePoint | undefined;
  /** What it was trained on before; undefined for the start. */
  readonly backend?: Backend | undefined;
}

/** A folder that is taken for a run. */
export class RunFolder implements Disposable {
  readonly #path: string;
  readonly #lock: Disposable;
  readonly #saved: RunDescription | undefined;
  #run: RunDescription | undefined;
  #tokenizer: string | undefined;
  #step = 0;
  #log: MetricsLog | undefined;

  /** Use `openRunFolder`. `saved` is the run that is gone on with. */
  constructor(path: string, lock: Disposable, saved: RunDescription | undefined) {
    this.#path = path;
    this.#lock = lock;
    this.#saved = saved;
  }

  /**
   * Says which run it is that begins, or goes on; nothing is written yet.
   *
   * @throws {TypeError} If the folder's own run had other settings, or is further.
   */
  async startRun(task: Task): Promise<BegunRun> {
    const path = this.#path;
    const asked = await describeRun(task);
    this.#run = this.#saved === undefined ? asked : continuedRun(path, this.#saved, asked);
    this.#tokenizer = task.tokenizer;
    const { settings } = this.#run;
    if (this.#saved === undefined || !await isFile(`${path}/${RUN_FILES.resume}`)) {
      return { settings };
    }
    const point = await readResumePoint(path, task.config);
    this.#step = point.step;
    const { backend = "webgpu" } = this.#saved;
    if (point.step <= settings.steps) return { settings, point, backend };
    throw new TypeError(
      `Cannot resume from "${path}": steps is ${settings.steps}, and its run has done ${point.step}`,
    );
  }

  /**
   * Makes the folder this run's, once it has done a step. Of another run nothing is left.
   *
   * What the run is stands there before anything else of it does, and until all of another run is gone: whatever kills
   * the process, the folder is a run's.
   *
   * @param backend What it is trained on.
   */
  async begin(backend: Backend): Promise<void> {
    const run = this.#run;
    if (run === undefined) throw new Error("Cannot begin a run that was not started");
    if (this.#step === 0) {
      const { description: _description, lock: _lock, resume, ...others } = RUN_FILES;
      // The point first: without it what is left begins anew, and with it some of its files would be missed for good.
      for (const name of [resume, ...Object.values(others)]) {
        await removeFile(`${this.#path}/${name}`);
      }
    }
    await writeRun(this.#path, { ...run, backend });
    if (this.#step === 0) await writeDescription(this.#path, run.config, this.#tokenizer);
    this.#log = await openMetrics(`${this.#path}/${RUN_FILES.metrics}`, this.#step);
  }

  /** The model of the best evaluation of a run that goes on. */
  async readModel(config: ModelConfig): Promise<NamedValues> {
    return await readModel(this.#path, config);
  }

  /** Notes a step: it is in the file when this returns. */
  note(step: TrainingStep): void {
    this.#log?.append(toMetrics(step));
  }

  /** Writes the model of the best evaluation. */
  async writeModel(config: ModelConfig, values: NamedValues): Promise<void> {
    await writeModel(this.#path, config, values);
  }

  /**
   * Draws the run's curve, and writes where the run has come to. That comes last: a run that was killed before it repeats
   * these steps and their curve, and one killed after its last point would never draw it.
   */
  async save(config: ModelConfig, point: ResumePoint): Promise<void> {
    await this.#drawCurve();
    await writeResumePoint(this.#path, config, point);
  }

  async #drawCurve(): Promise<void> {
    const { lines = [] } = this.#log ?? {};
    const curve = (name: string, key: string) => ({
      name,
      points: lines.flatMap((line) => {
        const value = line[key];
        return typeof value === "number" ? [[line.step, value] as const] : [];
      }),
    });
    const curves = [curve("training", "loss"), curve("validation", "validationLoss")];
    await writeWhole(
      `${this.#path}/${RUN_FILES.curve}`,
      lossCurve(this.#run?.task ?? "", curves),
    );
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#log?.[Symbol.dispose]();
    this.#log = undefined;
    this.#lock[Symbol.dispose]();
  }
}

/** Refuses what must not be trained into. */
async function checkFolder(
  folder: string,
  { resume, overwrite }: RunFolderOptions,
): Promise<void> {
  if (await isFile(`${folder}/${RUN_FILES.description}`)) {
    if (resume || overwrite || !await hasCheckpoint(folder)) return;
    throw new TypeError(
      `Cannot train into "${folder}": it holds a run. Go on with that one, with --resume, or begin ` +
        "anew in its place, with --overwrite (in a program: resume, overwrite)",
    );
  }
  // It says what is missing.
  if (resume) await readRun(folder);
  const found = await foreignFile(folder);
  if (found === undefined) return;
  throw new TypeError(
    `Cannot train into "${folder}": ${found}, expected a run's folder, an empty one or none`,
  );
}

/** Whether a run has something to lose: one that was killed before its first checkpoint has not. */
async function hasCheckpoint(folder: string): Promise<boolean> {
  for (const name of [RUN_FILES.resume, RUN_FILES.model]) {
    if (await isFile(`${folder}/${name}`)) return true;
  }
  return false;
}

/** What a folder holds that no run left that was killed as it began; undefined for nothing. */
async function foreignFile(folder: string): Promise<string | undefined> {
  const { isSymlink } = await Deno.lstat(folder).catch(() => ({ isSymlink: false }));
  const leads = await Deno.stat(folder).then(() => true, () => false);
  if (isSymlink && !leads) return "it is a link that leads nowhere";
  const own = ["training", RUN_FILES.lock];
  for (const inner of ["", "training/"]) {
    try {
      for await (const { name } of Deno.readDir(`${folder}/${inner}`)) {
        if (own.includes(inner + name) || (inner !== "" && isLeftover(name))) continue;
        return `it has "${inner}${name}", and is not a run's`;
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotADirectory) return "it is not a folder";
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** Removes what a killed run was about to write: files that were not renamed yet. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const path of [folder, `${folder}/training`]) {
    for await (const { name } of Deno.readDir(path)) {
      if (isLeftover(name)) await removeFile(`${path}/${name}`);
    }
  }
}

async function removeFile(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
