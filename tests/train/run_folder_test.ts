import { assert, assertEquals, assertRejects } from "@std/assert";
import { readMetrics } from "../../src/train/run/metrics.ts";
import { readRun } from "../../src/train/run/run_description.ts";
import { openRunFolder } from "../../src/train/run/run_folder.ts";
import type { Hyperparameters, Task } from "../../src/train/task.ts";
import { loadTask } from "../../src/train/tasks/load_task.ts";
import { train } from "../../src/train/train.ts";
import "../settle_readbacks.ts";

const LEFTOVER = ".00000000-0000-4000-8000-000000000000.tmp";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Everything below a folder, with its bytes. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (!isDirectory) found[name] = (await Deno.readFile(path)).toHex();
    else {
      for (const [inner, hex] of Object.entries(await contents(path))) {
        found[`${name}/${inner}`] = hex;
      }
    }
  }
  return found;
}

async function smallTask(folder: string, given: Partial<Hyperparameters> = {}): Promise<Task> {
  const data = `${folder}/text.txt`;
  await Deno.writeTextFile(data, "It was a dark and stormy night. ".repeat(20));
  return await loadTask("text", {
    data,
    hyperparameters: { steps: 4, batchSize: 2, seqlen: 8, evaluateEvery: 2, seed: 3, ...given },
    model: { d_model: 8, n_layer: 1 },
  });
}

Deno.test("openRunFolder() refuses what is not a run's, and leaves it as it was", () =>
  withFolder(async (parent) => {
    const folder = `${parent}/a`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/model.safetensors`, "weights");
    await Deno.writeTextFile(`${parent}/file`, "text");
    const before = await contents(parent);
    await Deno.symlink(`${parent}/nowhere`, `${parent}/link`);
    await assertRejects(
      () => openRunFolder(`${parent}/link`),
      TypeError,
      `Cannot train into "${parent}/link": it is a link that leads nowhere, expected a run's folder`,
    );
    await Deno.remove(`${parent}/link`);
    for (const options of [{}, { overwrite: true }]) {
      await assertRejects(
        () => openRunFolder(folder, options),
        TypeError,
        `Cannot train into "${folder}": it has "model.safetensors", and is not a run's, expected a ` +
          "run's folder, an empty one or none",
      );
      await assertRejects(
        () => openRunFolder(`${parent}/file`, options),
        TypeError,
        "it is not a folder",
      );
    }
    await assertRejects(
      () => openRunFolder(folder, { resume: true }),
      Deno.errors.NotFound,
      `Cannot resume: there is no "${folder}/training/run.json", and "${folder}" is not the folder of a run`,
    );
    await assertRejects(
      () => openRunFolder(`${parent}/b`, { resume: true, overwrite: true }),
      TypeError,
      "resume and overwrite exclude each other",
    );
    assertEquals(await contents(parent), before);
  }));

Deno.test("openRunFolder() gives a folder to one run at a time, and says who has it", () =>
  withFolder(async (parent) => {
    const out = `${parent}/new/run`;
    {
      using _ = await openRunFolder(out);
      const error = await assertRejects(() => openRunFolder(out), Error);
      const pattern =
        /^Cannot train into ".+": process (\d+), since [-\d]+ [:\d]+ UTC, is training/;
      assertEquals(error.message.match(pattern)?.[1], String(Deno.pid), error.message);
    }
    // Nothing was made of it: it is gone again.
    assertEquals(await Array.fromAsync(Deno.readDir(`${parent}/new`)), []);
    // What dead processes leave holds nobody up.
    await Deno.mkdir(`${out}/training`, { recursive: true });
    await Deno.writeTextFile(`${out}/training/lock`, "process 1, since 2000-01-01,");
    await Deno.writeTextFile(`${out}/training/run.json${LEFTOVER}`, "{");
    using _ = await openRunFolder(out);
    assert((await Deno.readTextFile(`${out}/training/lock`)).startsWith(`process ${Deno.pid},`));
  }));

Deno.test("openRunFolder() gives a folder to one of many that ask at once", () =>
  withFolder(async (parent) => {
    for (let round = 0; round < 20; round++) {
      const asked = await Promise.allSettled(
        Array.from({ length: 8 }, () => openRunFolder(`${parent}/run`)),
      );
      const given = asked.flatMap((one) => one.status === "fulfilled" ? one.value : []);
      assertEquals(given.length, 1);
      for (const folder of given) folder[Symbol.dispose]();
    }
  }));

Deno.test("train() wants to know what becomes of a run, resumes it only as it is, and extends it", () =>
  withFolder(async (folder) => {
    const out = `${folder}/run`;
    const all = (task: Task, options = {}) => Array.fromAsync(train(task, { out, ...options }));
    await all(await smallTask(folder));
    const before = await contents(out);
    await assertRejects(
      async () => await all(await smallTask(folder)),
      TypeError,
      `Cannot train into "${out}": it holds a run. Go on with that one, with --resume, or begin anew ` +
        "in its place, with --overwrite (in a program: resume, overwrite)",
    );
    await assertRejects(
      async () => await all(await smallTask(folder, { seed: 4, beta1: 0.8 }), { resume: true }),
      TypeError,
      `Cannot resume from "${out}": seed is 4, and its run has 3; beta1 is 0.8, and its run has 0.9. ` +
        "Give the run's own settings and data, or another folder",
    );
    const other = await smallTask(folder);
    await assertRejects(
      () => all({ ...other, summary: "another text" }, { resume: true }),
      TypeError,
      'data is "another text", and its run has "576 tokens to train on',
    );
    await assertRejects(
      async () => await all(await smallTask(folder, { steps: 3 }), { resume: true }),
      TypeError,
      "steps is 3, and its run has done 4",
    );
    assertEquals(await contents(out), before);
    // Of the same size, with the same characters.
    const data = `${folder}/text.txt`;
    await Deno.writeTextFile(data, (await Deno.readTextFile(data)).replace("dark", "kard"));
    const { options } = other;
    await assertRejects(
      async () => await all(await loadTask("text", options), { out, resume: true }),
      TypeError,
      `Cannot resume from "${out}": data is other than its run has, of the same size (SHA-256 `,
    );
    assertEquals(await contents(out), before);
    // Longer, and cut: the same program goes on with it, whatever warm-up it asks for now.
    const longer = await smallTask(folder, { steps: 40 });
    for await (const { step } of train(longer, { out, resume: true })) if (step === 8) break;
    const rest = await all(longer, { resume: true });
    assertEquals([rest[0]?.step, rest.at(-1)?.step], [9, 40]);
    const lines = await readMetrics(`${out}/training/metrics.jsonl`);
    assertEquals(lines.map(({ step }) => step), Array.from({ length: 40 }, (_, i) => i + 1));
    const { settings, isExtended } = await readRun(out);
    assertEquals([settings.steps, settings.warmupSteps, isExtended], [40, 0, true]);
    const anew = await all(await smallTask(folder, { seed: 4 }), { overwrite: true });
    assertEquals(anew.length, 4);
    assertEquals((await readMetrics(`${out}/training/metrics.jsonl`)).length, 4);
  }));

Deno.test("train() begins anew, unasked, where a run was killed before its first checkpoint", () =>
  withFolder(async (folder) => {
    const task = await smallTask(folder);
    const out = `${folder}/run`;
    await Array.fromAsync(train(task, { out }));
    const expected = await Deno.readFile(`${out}/training/resume.safetensors`);
    for (const resume of [false, true]) {
      for (const name of ["training/resume.safetensors", "model.safetensors"]) {
        await Deno.remove(`${out}/${name}`);
        await Deno.writeTextFile(`${out}/${name}${LEFTOVER}`, "half");
      }
      const steps = await Array.fromAsync(train(task, { out, resume }));
      assertEquals(steps.map(({ step }) => step), [1, 2, 3, 4]);
      assertEquals(await Deno.readFile(`${out}/training/resume.safetensors`), expected);
      assert(!Object.keys(await contents(out)).some((name) => name.endsWith(".tmp")));
    }
  }));

/** Makes every renaming and removal of a file fail from the `count`-th on, which is all that a kill there leaves. */
function cutAfter(count: number): { readonly wasReached: boolean } & Disposable {
  const { rename, remove } = Deno;
  let done = 0;
  const cut = <Args extends unknown[]>(change: (...args: Args) => Promise<void>) => {
    return (...args: Args) => done++ < count ? change(...args) : Promise.reject(new Error("cut"));
  };
  Object.assign(Deno, { rename: cut(rename), remove: cut(remove) });
  return {
    get wasReached() {
      return done > count;
    },
    [Symbol.dispose]: () => Object.assign(Deno, { rename, remove }),
  };
}

Deno.test("train() ends with the files of an uninterrupted run, wherever one was cut off, an overwriting one too", () =>
  withFolder(async (folder) => {
    const task = await smallTask(folder, { steps: 2, evaluateEvery: 1 });
    // Metrics have times in them.
    const files = async (out: string) => {
      const { "training/metrics.jsonl": _metrics, ...others } = await contents(out);
      return others;
    };
    const run = (out: string, options = {}) =>
      Array.fromAsync(train(task, { out, backend: "cpu", threads: 1, ...options }));
    await run(`${folder}/straight`);
    const expected = await files(`${folder}/straight`);
    for (const overwrite of [false, true]) {
      for (let count = 0, isCut = true; isCut; count++) {
        const out = `${folder}/${overwrite}-${count}`;
        if (overwrite) await run(out);
        {
          using cut = cutAfter(count);
          await run(out, { overwrite }).catch(() => {});
          isCut = cut.wasReached;
        }
        const { isFile } = await Deno.stat(`${out}/training/run.json`).catch(() => ({
          isFile: false,
        }));
        await run(out, { resume: isFile });
        assertEquals(await files(out), expected, `${overwrite}, ${count} changes`);
        if (!isCut) assert(count > (overwrite ? 15 : 8), `${count} changes`);
      }
    }
  }));
