import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { infer } from "../../../src/cli/infer/infer.ts";
import { parseArguments } from "../../../src/cli/terminal/arguments.ts";
import { loadTaskFor, taskOptions, TRAIN } from "../../../src/cli/train/options.ts";
import { NUMBERS } from "../../../src/cli/train/setting_options.ts";
import { trainCommand } from "../../../src/cli/train/train.ts";
import { openSafetensors } from "../../../src/io/safetensors/safetensors.ts";
import { readMetrics } from "../../../src/train/run/metrics.ts";
import { openRunFolder } from "../../../src/train/run/run_folder.ts";
import { COMMON } from "../../../src/train/task.ts";
import { defaultPreset, loadTask, TASK_PRESETS } from "../../../src/train/tasks/load_task.ts";
import { train } from "../../../src/train/train.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import "../../settle_readbacks.ts";

const ROOT = new URL("../../../", import.meta.url);

Deno.test("train.ts heeds Ctrl-C within a few steps, and leaves a checkpoint of the last one shown", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const sizes = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
    const length = ["--steps", "1000000", "--evaluate-every", "1000000", "--json"];
    const files = ["--data", `${folder}/text.txt`, "--out", `${folder}/out`];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "train.ts", "text", ...files, ...sizes, ...length],
      ...{ cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" },
    }).spawn();
    const stderr = new Response(child.stderr).text();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text === "") child.kill("SIGINT");
      text += chunk;
    }
    assertEquals((await child.status).code, 130);
    const again = `deno task train text --resume ${folder}/out`;
    assert((await stderr).endsWith(`Stopped. Go on with: ${again}\n`), await stderr);
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert(lines.length < 10_000, `${lines.length} steps after Ctrl-C`);
    const path = `${folder}/out/training/resume.safetensors`;
    using file = await openSafetensors(fromBytes(path, await Deno.readFile(path)));
    assertEquals(JSON.parse(file.metadata.get("point") ?? "").step, lines.at(-1).step);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts --resume alone goes on with the settings that the run began with", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const args = [
      ...["text", "--data", `${folder}/text.txt`, "--steps", "60", "--evaluate-every", "20"],
      ...["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8", "--seed", "5"],
    ];
    const whole = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--out", `${folder}/whole`], whole), 0, whole.stderr);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "train.ts", ...args, `--out=${folder}/cut`, "--json"],
      ...{ cwd: ROOT, stdin: "null", stdout: "piped", stderr: "null" },
    }).spawn();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text === "") child.kill("SIGINT");
      text += chunk;
    }
    assertEquals((await child.status).code, 130);
    const other = new FakeTerminal();
    assertEquals(await trainCommand(["mnist", "--resume", `${folder}/cut`], other), 2);
    assertEquals(
      other.stderr,
      `Cannot go on with "${folder}/cut" as mnist: its run is of text. See --help\n`,
    );
    const changed = new FakeTerminal();
    assertEquals(await trainCommand(["--resume", `${folder}/cut`, "--seed", "6"], changed), 1);
    assert(
      changed.stderr.endsWith(
        `Cannot resume from "${folder}/cut": seed is 6, and its run has 5. ` +
          "Give the run's own settings and data, or another folder\n",
      ),
      changed.stderr,
    );
    const elsewhere = new FakeTerminal();
    assertEquals(await trainCommand(["--resume", `${folder}/cut`, "--out", "b"], elsewhere), 2);
    assertEquals(
      elsewhere.stderr,
      "Cannot use --out with --resume: a run goes on in its own folder. See --help\n",
    );
    const both = new FakeTerminal();
    assertEquals(await trainCommand(["--resume", `${folder}/cut`, "--overwrite"], both), 2);
    assertEquals(
      both.stderr,
      "Cannot use --overwrite with --resume: a run goes on, or begins anew. See --help\n",
    );
    const replaced = new FakeTerminal();
    const from = ["--resume", `${folder}/cut`, "--from", `${folder}/whole`];
    assertEquals(await trainCommand(from, replaced), 2);
    assertEquals(
      replaced.stderr,
      "Cannot use --from with --resume: a run goes on with its own weights. See --help\n",
    );
    const description = `${folder}/cut/training/run.json`;
    const noted = await Deno.readTextFile(description);
    for (const damaged of [noted.slice(0, 20), "[]", "{}", "null"]) {
      await Deno.writeTextFile(description, damaged);
      const lost = new FakeTerminal();
      assertEquals(await trainCommand(["--resume", `${folder}/cut`], lost), 1);
      assertEquals(
        lost.stderr,
        `Cannot resume from "${folder}/cut": its training/run.json is damaged. ` +
          "Begin the run anew, with --overwrite (in a program: overwrite)\n",
      );
    }
    await Deno.writeTextFile(description, noted);
    // Something else may be given again: when to stop is no setting of a step.
    const rest = new FakeTerminal();
    const again = ["--resume", `${folder}/cut`, "--patience", "50"];
    assertEquals(await trainCommand(again, rest), 0, rest.stderr);
    assert(!rest.stdout.includes("{"), "--json is how it was shown, not what it was");
    const [model, expected] = await Promise.all(
      ["cut", "whole"].map((run) => Deno.readFile(`${folder}/${run}/model.safetensors`)),
    );
    assertEquals(model, expected);
    const ended = new FakeTerminal();
    assertEquals(await trainCommand(["--resume", `${folder}/cut`], ended), 0, ended.stderr);
    assertEquals(ended.stdout, rest.stdout);
    assert(ended.stderr.endsWith("has ended before: give more --steps, or more --patience\n"));
    const longer = new FakeTerminal();
    const extended = ["--resume", `${folder}/cut`, "--steps", "64"];
    assertEquals(await trainCommand(extended, longer), 0, longer.stderr);
    const metrics = await readMetrics(`${folder}/cut/training/metrics.jsonl`);
    assertEquals(metrics.at(-1)?.step, 64);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts turns --epochs into steps, and ends with the best evaluation", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const args = [
      ...["text", "--data", `${folder}/text.txt`, "--out", `${folder}/out`, "--epochs", "2"],
      ...["--d-model", "8", "--n-layer", "1", "--batch-size", "4", "--seqlen", "16"],
      ...["--accumulation", "2", "--evaluate-every", "2", "--preset", "text"],
    ];
    const terminal = new FakeTerminal();
    assertEquals(await trainCommand(args, terminal), 0, terminal.stderr);
    const metrics = await readMetrics(`${folder}/out/training/metrics.jsonl`);
    // 576 characters train: 35 windows of 16, in batches of 4, of which a step takes 2.
    assertEquals(metrics.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assertEquals(metrics[0]?.learningRate, 1e-3, "nine steps have no warm-up");
    const losses = metrics.flatMap(({ validationLoss }) => validationLoss ?? []).map(Number);
    assertEquals(losses.length, 5);
    const best = metrics.find(({ validationLoss }) => validationLoss === Math.min(...losses));
    const line = `Best: step ${best?.step}: validation loss ${Math.min(...losses).toFixed(4)}\n`;
    assertEquals(terminal.stdout, line);
    assert(terminal.stderr.includes(`Checkpoint: ${folder}/out\n`), terminal.stderr);
    const use = `Use it: deno task infer generate ${folder}/out\n`;
    assert(terminal.stderr.endsWith(use), terminal.stderr);
    const twice = new FakeTerminal();
    assertEquals(await trainCommand(args, twice), 1);
    assert(twice.stderr.includes("with --resume, or begin anew in its place, with --overwrite"));
    const again = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--overwrite"], again), 0, again.stderr);
    assert(again.stderr.includes(`Checkpoint: ${folder}/out, in place of a run there\n`));
    assertEquals(
      await readMetrics(`${folder}/out/training/metrics.jsonl`).then((m) => m.length),
      9,
    );
    const both = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--overwrite", "--steps", "3"], both), 2);
    assert(both.stderr.includes("Cannot use --steps with --epochs: give one"), both.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts counts the part of a run in which images move by --epochs", async () => {
  const first = async (shift: string) => {
    const args = parseArguments(TRAIN, ["mnist-pixels", "--epochs", "5", "--shift", shift]);
    const { train } = await loadTaskFor("mnist-pixels", args, taskOptions(args));
    return [3, 4].map((epoch) => train.batch({ epoch, index: 0 }).targets);
  };
  const [moved, settled] = await first("2"), [still, same] = await first("0");
  assertNotEquals(moved, still);
  assertEquals(settled, same);
});

Deno.test("train.ts takes --held-out for images alone, as a whole number", async () => {
  for (
    const [args, message] of [
      [["text", "--data", "README.md", "--held-out", "5"], "it does not take heldOut"],
      [["mnist", "--held-out", "0.5"], "Cannot use --held-out 0.5: expected a whole number of 0"],
      [["mnist", "--held-out", "60000"], "Cannot hold out 60000 of 60000 images"],
    ] as const
  ) {
    const terminal = new FakeTerminal();
    assert(await trainCommand(args, terminal) > 0);
    assert(terminal.stderr.includes(message), terminal.stderr);
  }
});

Deno.test("train.ts goes on in the folder that --resume names, and in no other", async () => {
  const terminal = new FakeTerminal();
  const args = ["text", "--data", "README.md", "--resume", "a", "--out", "b"];
  assertEquals(await trainCommand(args, terminal), 2);
  assertEquals(
    terminal.stderr,
    "Cannot use --out with --resume: a run goes on in its own folder. See --help\n",
  );
});

Deno.test("train.ts trains into no folder of somebody else's, and says who trains into one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const args = ["text", "--data", `${folder}/text.txt`, "--d-model", "8", "--n-layer", "1"];
    const foreign = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--overwrite", "--out", folder], foreign), 1);
    assertEquals(
      foreign.stderr,
      `Cannot train into "${folder}": it has "text.txt", and is not a run's, expected a run's ` +
        "folder, an empty one or none\n",
    );
    using _ = await openRunFolder(`${folder}/out`);
    const second = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--out", `${folder}/out`], second), 1);
    assert(second.stderr.includes(`process ${Deno.pid}, since`), second.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts goes on with a run that a program began", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    const task = await loadTask("text", {
      data: `${folder}/text.txt`,
      hyperparameters: { steps: 6, batchSize: 2, seqlen: 8, evaluateEvery: 2, eps: 1e-7 },
      model: { d_model: 8, n_layer: 1, d_state: 4 },
    });
    await Array.fromAsync(train(task, { out: `${folder}/whole` }));
    for await (const { step } of train(task, { out: `${folder}/cut` })) if (step === 4) break;
    const terminal = new FakeTerminal();
    assertEquals(await trainCommand(["--resume", `${folder}/cut`], terminal), 0, terminal.stderr);
    for (const name of ["model.safetensors", "training/resume.safetensors", "training/run.json"]) {
      const [cut, whole] = await Promise.all(
        ["cut", "whole"].map((run) => Deno.readFile(`${folder}/${run}/${name}`)),
      );
      assertEquals(cut, whole, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts --help shows every setting's default, and every preset's own", async () => {
  const terminal = new FakeTerminal();
  assertEquals(await trainCommand(["--help"], terminal), 0);
  const own = [...TASK_PRESETS].flatMap(([task, presets]) =>
    presets.map(({ name, settings, size }) => {
      const start = terminal.stdout.search(new RegExp(`\\n  ${task} --preset ${name}[,:\\n]`));
      const text = terminal.stdout.slice(start + 1).split(/\n {2}\S|\n\n/)[0] ?? "";
      assert(start > 0 && text.includes(` --steps ${settings.steps} `), `${task} ${name}`);
      assert(text.includes(` --d-model ${size.d_model}`), text);
      return text;
    })
  );
  assertEquals(own.length, 16);
  for (const [option, key] of NUMBERS) {
    const common = Object.entries(COMMON).find(([name]) => name === key)?.[1];
    const line = terminal.stdout.split("\n  --").find((part) => part.startsWith(`${option} N`));
    assert(line?.includes(`(default: ${common ?? "the preset's"})`), `${option}: ${line}`);
  }
});

Deno.test("train.ts ends with 2 where a value is wrong, as where an option is", async () => {
  for (
    const args of [
      ["nosuch"],
      ["--preset", "nosuch"],
      ["--steps", "0"],
      ["--dropout", "1.5"],
      ["--seed", "x"],
      ["--learning-rate", "-1"],
      ["--d-model", "0"],
      ["--mixer", "lstm"],
      ["--tokenizer", "a.json"],
    ]
  ) {
    const terminal = new FakeTerminal();
    assertEquals(await trainCommand(args, terminal), 2, `${args}: ${terminal.stderr}`);
  }
});

Deno.test("train.ts notes what a text has, the device, and a part of the validation", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "A dark\r\nand stormy night.\0 ".repeat(200));
    const args = [
      ...["text", "--data", `${folder}/text.txt`, "--steps", "3", "--evaluate-every", "1"],
      ...["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"],
      ...["--backend", "cpu", "--threads", "2"],
    ];
    const few = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--out", `${folder}/few`], few), 0, few.stderr);
    assert(few.stderr.includes("Note: the text has 200 line ends of two characters, CR and LF"));
    assert(few.stderr.includes("Note: the text has 200 characters NUL"), few.stderr);
    assert(
      /^Device: CPU, 2 threads, SIMD with FMA; about \d+ ms a step$/m.test(few.stderr),
      few.stderr,
    );
    assert(!/step 1\/3.* left/.test(few.stderr) && /step 2\/3.* left/.test(few.stderr), few.stderr);
    // A step has 2 x 8 tokens, and costs what 3 batches of the 34 cost to evaluate.
    assert(/step 3: validation loss .*, by 3 of 34 batches \(--eval-batches\)/.test(few.stderr));
    const all = new FakeTerminal();
    const asked = [...args, "--eval-batches", "100", "--out", `${folder}/all`];
    assertEquals(await trainCommand(asked, all), 0, all.stderr);
    assert(!all.stderr.includes("--eval-batches"), all.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("train.ts takes the preset for a CPU where it trains there and nobody says", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "A dark and stormy night. ".repeat(200));
    const args = ["text", "--data", `${folder}/text.txt`, "--steps", "1", "--backend", "cpu"];
    const small = new FakeTerminal();
    assertEquals(await trainCommand([...args, "--out", `${folder}/small`], small), 0, small.stderr);
    const why = "Task: text, preset small, as it is trained on the CPU (--preset text is larger), ";
    assert(small.stderr.startsWith(why), small.stderr);
    assert(small.stderr.includes('"d_model":64,'), small.stderr);
    const own = ["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8"];
    const asked = new FakeTerminal();
    const named = [...args, ...own, "--preset", "text", "--out", `${folder}/text`];
    assertEquals(await trainCommand(named, asked), 0, asked.stderr);
    assert(asked.stderr.startsWith("Task: text, preset text, 4,500 tokens"), asked.stderr);
    assert(asked.stderr.includes('"d_model":8,'), asked.stderr);
    const more = new FakeTerminal();
    const further = ["--resume", `${folder}/small`, "--steps", "2", "--backend", "cpu"];
    assertEquals(await trainCommand(further, more), 0, more.stderr);
    assert(more.stderr.startsWith("Task: text, preset small, 4,500 tokens"), more.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("defaultPreset() is the first, or on the CPU the one that is made for it", () => {
  assertEquals(defaultPreset("text", "webgpu"), "text");
  assertEquals(defaultPreset("text", "cpu"), "small");
  assertEquals(defaultPreset("mnist", "cpu"), "rows");
  assertEquals(defaultPreset("nosuch", "cpu"), undefined);
});

Deno.test("--version prints what deno.json says", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const program of [trainCommand, infer]) {
    const terminal = new FakeTerminal();
    assertEquals(await program(["--version"], terminal), 0);
    assertEquals(terminal.stdout, `slither ${version} (Deno ${Deno.version.deno})\n`);
  }
});
