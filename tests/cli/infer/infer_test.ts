import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { goldenPath, readGoldenJson, readGoldenTensors } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import "../../settle_readbacks.ts";

const LM = goldenPath("mamba1");
const CLASSIFIER = goldenPath("classifier-last");
const IDS = goldenPath("mamba1", "ids.json");

/** Runs a command that succeeds. */
async function run(
  args: string[],
  stdin?: Uint8Array<ArrayBuffer> | string,
): Promise<FakeTerminal> {
  const terminal = new FakeTerminal(stdin === undefined ? {} : { stdin });
  const code = await infer(args, terminal);
  assertEquals(code, 0, terminal.stderr);
  return terminal;
}

/** Runs a command that fails with one line. */
async function fail(args: string[], code: number, stdin?: string): Promise<string> {
  const terminal = new FakeTerminal(stdin === undefined ? {} : { stdin });
  assertEquals(await infer(args, terminal), code, `${args.join(" ")}: ${terminal.stderr}`);
  assertEquals(terminal.stdout, "");
  const lines = terminal.stderr.trimEnd().split("\n")
    .filter((line) => !/^(Device|Model|Seed): /.test(line));
  assertEquals(lines.length, 1, terminal.stderr);
  assertMatch(lines[0] ?? "", /^Cannot /);
  return lines[0] ?? "";
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("infer() shows its help, and each command's with an example", async () => {
  const { stdout, stderr } = await run(["--help"]);
  assertEquals(stderr, "");
  for (const name of ["generate", "classify", "score", "inspect"]) {
    assertMatch(stdout, new RegExp(`^  ${name} `, "m"));
    const help = (await run([name, "--help"])).stdout;
    assertMatch(help, new RegExp(`^Usage: deno run --allow-read infer\\.ts ${name} <model`, "m"));
    assertMatch(help, new RegExp(`^Example: deno run --allow-read infer\\.ts ${name} `, "m"));
    assertMatch(help, /^ {2}--help/m);
    for (const line of help.split("\n")) assert(line.length <= 120, line);
  }
  assertEquals((await run(["help"])).stdout, stdout);
});

Deno.test("infer() ends with 2 where the command line does not follow the usage", async () => {
  const model = ["generate", LM];
  const cases: [string[], string][] = [
    [["generat"], 'Cannot run "generat"'],
    [["generate"], "<model> is missing"],
    [[...model, "--frobnicate"], "Cannot use --frobnicate"],
    [[...model, "--seed"], "its value S is missing"],
    [[...model, "--prompt", "a", "--ids", IDS], "Cannot use --prompt and --ids together"],
    [[...model, "--prompt", ""], "the prompt is empty"],
    [["classify", CLASSIFIER], "give an image"],
    [["classify", CLASSIFIER, "x.png", "--dataset", "mnist"], "at once"],
    [["classify", CLASSIFIER, "x.png", "--limit", "3"], "Cannot use --limit"],
    [["classify", CLASSIFIER, "--dataset", "mnist", "--stream"], "Cannot use --stream"],
    [["score", LM], "Cannot score: give --text, --ids, or text on stdin"],
    [["score", LM, "--text", "a", "--ids", "b"], "Cannot use --text and --ids together"],
    [["inspect"], "<model | snapshot> is missing"],
  ];
  for (const [args, message] of cases) {
    const line = await fail(args, 2);
    assert(line.includes(message), line);
    assertMatch(line, /[^?]\. See --help$/);
  }
  assertMatch(await fail([...model, "--max-token", "3"], 2), /--max-tokens\? See --help$/);
});

Deno.test("infer() ends with one line where a value or a file is wrong, and with 2 for a value", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/big.json`, "[1, 256]");
    await Deno.writeTextFile(`${folder}/two.json`, "[[1, 2], [3]]");
    await Deno.writeTextFile(`${folder}/empty.json`, "[]");
    await Deno.writeTextFile(`${folder}/bad.safetensors`, "not a snapshot");
    await Deno.writeTextFile(`${folder}/empty.txt`, "");
    await Deno.writeFile(`${folder}/latin1.txt`, Uint8Array.of(0x63, 0xe9, 0x20));
    const generate = ["generate", LM, "--prompt", "a"];
    const ids = (name: string) => ["--ids", `${folder}/${name}.json`];
    const cases: [string[], string][] = [
      [[...generate, "--temperature", "-1"], "Cannot use --temperature -1"],
      [[...generate, "--top-p", "2"], "Cannot use --top-p 2"],
      [[...generate, "--top-p", "0"], "Cannot use --top-p 0"],
      [[...generate, "--min-p", "1.5"], "Cannot use --min-p 1.5"],
      [[...generate, "--top-k", "-3"], "Cannot use --top-k -3"],
      [[...generate, "--repetition-penalty", "0"], "Cannot use --repetition-penalty 0"],
      [[...generate, "--max-tokens", "x"], "Cannot use --max-tokens x"],
      [[...generate, "--seed", "1.5"], "Cannot use --seed 1.5"],
      [[...generate, "--stop", ""], "Cannot use --stop"],
      [
        [...generate, "--backend", "abacus"],
        "Cannot use --backend abacus: expected auto, webgpu or cpu",
      ],
      [[...generate, "--threads", "0"], "Cannot use --threads 0"],
      [[...generate, "--dtype", "f8"], "Cannot use --dtype f8"],
      [[...generate, "--load-state", `${folder}/none`], "none"],
      [[...generate, "--load-state", `${folder}/bad.safetensors`], "bad.safetensors"],
      [["generate", `${folder}/none`, "--prompt", "a"], "there is no such folder or file"],
      [["generate", LM, ...ids("big")], "entry [1] is 256, and this model's ids are 0 to 255"],
      [["generate", LM, ...ids("two")], "it holds 2 sequences, expected one"],
      [["generate", LM, ...ids("empty")], "a sequence is empty"],
      [["generate", CLASSIFIER, "--prompt", "a"], "Cannot generate with this model"],
      [["generate", goldenPath("mamba1-odd"), "--prompt", "a"], "no tokenizer.json"],
      [["classify", LM, IDS], "Cannot classify with this model"],
      [["classify", CLASSIFIER, `${folder}/none.png`], "none.png"],
      [["classify", CLASSIFIER, "--dataset", "mnits"], "Cannot use --dataset mnits: expected"],
      [["classify", CLASSIFIER, "--dataset", "mnist", "--split", "x"], "Cannot use --split x"],
      [["classify", CLASSIFIER, "--dataset", "mnist", "--limit", "0"], "Cannot use --limit 0"],
      [["classify", CLASSIFIER, "--dataset", "mnist", "--data", folder], "t10k"],
      [["score", LM, ...ids("big")], "entry [1] is 256"],
      [["score", LM, ...ids("two"), "--logits", `${folder}/l`], "sequence 0 has 2 tokens"],
      [["score", LM, "--text", `${folder}/empty.txt`], "it is empty, expected text"],
      [["score", LM, "--text", `${folder}/none.txt`], "none.txt"],
      [["score", LM, "--text", `${folder}/latin1.txt`], "byte 1 is 0xe9, which is not UTF-8 there"],
      [["score", CLASSIFIER, ...ids("two")], "Cannot score with this model"],
      [["inspect", `${folder}/bad.safetensors`], "bad.safetensors"],
      [["inspect", `${folder}/none`], "there is no such folder or file"],
    ];
    for (const [args, message] of cases) {
      const line = await fail(args, message.startsWith("Cannot use --") ? 2 : 1);
      assert(line.includes(message), line);
    }
    const left = await Array.fromAsync(Deno.readDir(folder));
    assertEquals(left.length, 6, "a failed command left a file behind");
  }));

Deno.test("infer() generate prints PyTorch's greedy ids, and names device, model and seed", async () => {
  const greedy = readGoldenJson<number[]>("mamba1", "greedy.json");
  const options = ["--ids", IDS, "--max-tokens", "24", "--temperature", "0", "--seed", "3"];
  const { stdout, stderr } = await run(["generate", LM, ...options, "--print-ids"]);
  assertEquals(stdout, `${JSON.stringify(greedy)}\n`);
  assertMatch(stderr, /^Device: .+\nModel: .+\nSeed: 3\nprefill 40 tokens, .+\n$/);
});

Deno.test("infer() generate prints text, or one JSON object a token and one of statistics", async () => {
  const command = ["generate", LM, "--max-tokens", "12", "--seed", "7"];
  const text = await run([...command, "--prompt", "Hey"]);
  assertEquals((await run(command, "Hey")).stdout, text.stdout);
  const { stdout } = await run([...command, "--prompt", "Hey", "--json"]);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.length, 13);
  assertEquals(lines.slice(0, 12).map(({ text }) => text).join("") + "\n", text.stdout);
  assertEquals(
    lines.slice(0, 12).map(({ position }) => position),
    [...Array(12).keys()].map((i) => i + 3),
  );
  assert(lines.slice(0, 12).every(({ logprob }) => logprob <= 0));
  const { statistics } = lines[12];
  assertEquals([statistics.seed, statistics.promptTokens, statistics.tokens], [7, 3, 12]);
  const both = JSON.parse(
    (await run([...command, "--prompt", "Hey", "--json", "--print-ids"])).stdout,
  );
  assertEquals(both.ids, lines.slice(0, 12).map(({ id }) => id));
});

Deno.test("infer() generate ends before a stop text", async () => {
  const command = ["generate", LM, "--prompt", "Hey", "--seed", "7", "--max-tokens", "20"];
  const { stdout } = await run(command);
  const stop = [...stdout.trimEnd()].slice(4, 6).join("");
  const stopped = await run([...command, "--stop", "no such text", "--stop", stop]);
  assertEquals(stopped.stdout, `${stdout.slice(0, stdout.indexOf(stop))}\n`);
});

Deno.test("infer() generate goes on from a saved state as if it had never stopped", () =>
  inFolder(async (folder) => {
    const state = `${folder}/state.safetensors`;
    const sampling = ["--temperature", "0.9", "--top-k", "50", "--repetition-penalty", "1.1"];
    const start = ["generate", LM, "--ids", IDS, "--seed", "7", ...sampling, "--print-ids"];
    const ids = async (args: string[]) => JSON.parse((await run(args)).stdout);
    const whole = await ids([...start, "--max-tokens", "60"]);
    const first = await ids([...start, "--max-tokens", "25", "--save-state", state]);
    const go = ["generate", LM, "--load-state", state, "--print-ids"];
    const { stdout, stderr } = await run([...go, "--max-tokens", "35"]);
    assertEquals([...first, ...JSON.parse(stdout)], whole);
    assertMatch(stderr, /^Seed: 7$/m);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 1);

    // A state may have any name.
    await Deno.copyFile(state, `${folder}/after 25`);
    const inspected = JSON.parse((await run(["inspect", `${folder}/after 25`, "--json"])).stdout);
    assertEquals(inspected.kind, "snapshot");
    assertEquals(inspected.sampler.topK, 50);
    // 40 ids and 24 of 25 tokens are consumed; the last token is pending.
    assertEquals(inspected.metadata.position, "64");

    await Deno.writeTextFile(`${folder}/more.json`, JSON.stringify([whole[25], 5]));
    const fed = await run([...go, "--ids", `${folder}/more.json`, "--max-tokens", "5"]);
    assertEquals(JSON.parse(fed.stdout).length, 5);
    const other = await fail(["generate", goldenPath("mamba1-odd"), "--load-state", state], 1);
    assertMatch(other, /another config/);
  }));

Deno.test("infer() inspect shows the dtype, and bytes on the device in each", async () => {
  const { stdout } = await run(["inspect", goldenPath("mamba1-f16"), "--json"]);
  const { parameters, dtype, deviceBytes, stateBytes } = JSON.parse(stdout);
  assertEquals([parameters, dtype, stateBytes], [81_856, "f16", 20_480]);
  for (const dtype of ["f32", "f16", "int8", "int4"]) {
    const { stderr } = await run([
      "generate",
      LM,
      "--ids",
      IDS,
      "--max-tokens",
      "1",
      "--dtype",
      dtype,
      // The CPU packs them otherwise.
      "--backend",
      "webgpu",
    ]);
    const [, size] = /, ([\d.]+) kB of weights/.exec(stderr) ?? [];
    assertEquals(size, (deviceBytes[dtype] / 1000).toPrecision(3));
  }
  const text = (await run(["inspect", goldenPath("mamba1-f16")])).stdout;
  assertMatch(text, /^dtype +f16$/m);
  assertMatch(text, /^device +332 kB as f32, 178 kB as f16, 119 kB as int8, 81.3 kB as int4; /m);
});

Deno.test("infer() score writes PyTorch's logits, and prints the same scores without", () =>
  inFolder(async (folder) => {
    const path = `${folder}/logits.safetensors`;
    const expected = readGoldenTensors("mamba1", "expected.safetensors");
    const command = ["score", LM, "--ids", IDS, "--json"];
    const written = JSON.parse((await run([...command, "--logits", path])).stdout);
    const plain = JSON.parse((await run(command)).stdout);
    const { shape, data } = readTensor(path);
    assertEquals(shape, expected["logits"]?.shape);
    for (const [i, value] of data.entries()) {
      assertAlmostEquals(value, expected["logits"]?.data[i] ?? NaN, 1e-3 + 1e-3 * Math.abs(value));
    }
    const ids = readGoldenJson<number[]>("mamba1", "ids.json");
    assertEquals(plain.scores.map(({ id }: { id: number }) => id), ids);
    assertEquals(plain.scores[0].logprob, null);
    for (const [i, { logprob, rank, entropy }] of plain.scores.entries()) {
      if (i === 0) continue;
      assertAlmostEquals(written.scores[i].logprob, logprob, 1e-3);
      assertAlmostEquals(written.scores[i].entropy, entropy, 1e-3);
      assertEquals(written.scores[i].rank, rank);
    }
    assertEquals(plain.scored, ids.length - 1);
    assertAlmostEquals(Math.log(plain.perplexity), plain.natsPerToken, 1e-9);
  }));

Deno.test("infer() score --summary prints the sums alone", async () => {
  const command = ["score", LM, "--ids", goldenPath("mamba1", "ids.json")];
  const whole = (await run(command)).stdout.split("\n");
  const short = (await run([...command, "--summary"])).stdout.split("\n");
  assertEquals(short, whole.slice(-short.length));
  assertEquals(short.map((line) => line.split(" ")[0]), ["scored", "nats", "perplexity", ""]);
  const { scores: _scores, ...sums } = JSON.parse((await run([...command, "--json"])).stdout);
  assertEquals(JSON.parse((await run([...command, "--json", "--summary"])).stdout), sums);
});

Deno.test("infer() score takes independent sequences of one length into one tensor", () =>
  inFolder(async (folder) => {
    const path = `${folder}/logits.safetensors`;
    const expected = readGoldenTensors("mamba1", "expected.safetensors")["logits_batch"];
    const ids = goldenPath("mamba1", "ids_batch.json");
    const json = JSON.parse(
      (await run(["score", LM, "--ids", ids, "--logits", path, "--json"])).stdout,
    );
    const { shape, data } = readTensor(path);
    assertEquals(shape, expected?.shape);
    for (const [i, value] of data.entries()) {
      assertAlmostEquals(value, expected?.data[i] ?? NaN, 1e-3 + 1e-3 * Math.abs(value));
    }
    assertEquals(json.sequences.length, shape[0]);
  }));

Deno.test("infer() score gives bits per byte for text", async () => {
  const text = "Hello, größe";
  const bytes = new TextEncoder().encode(text).length;
  const json = JSON.parse((await run(["score", LM, "--json"], text)).stdout);
  // One token is one byte here, so the first byte has no score.
  assertEquals(json.scored, bytes - 1);
  assertAlmostEquals(json.bitsPerByte, json.natsPerToken / Math.LN2, 1e-9);
  const lines = (await run(["score", LM], text)).stdout.trimEnd().split("\n");
  assertEquals(lines[0], `${"H".charCodeAt(0)}\t-\t-\t"H"`);
  assertMatch(lines.at(-1) ?? "", /^bits per byte \d+\.\d{4}$/);
});

Deno.test("infer() classify gives PyTorch's probabilities, after every step with --stream", async () => {
  const expected = readGoldenTensors("classifier-last", "expected.safetensors");
  const { inputs, logits } = expected;
  if (inputs === undefined || logits === undefined) throw new Error("a golden tensor is missing");
  const [steps = 0, classes = 0] = logits.shape;
  const numbers = [...inputs.data].join(" ");
  const probabilities = (step: number) => {
    const row = [...logits.data.subarray(step * classes, (step + 1) * classes)].map(Math.exp);
    const sum = row.reduce((a, b) => a + b);
    return row.map((value) => value / sum);
  };
  const check = (found: number[], step: number) => {
    for (const [i, p] of probabilities(step).entries()) {
      assertAlmostEquals(found[i] ?? NaN, p, 1e-3);
    }
  };
  const last = JSON.parse((await run(["classify", CLASSIFIER, "-", "--json"], numbers)).stdout);
  check(last.probabilities, steps - 1);
  assertEquals(last.index, last.probabilities.indexOf(Math.max(...last.probabilities)));
  const stream = (await run(["classify", CLASSIFIER, "-", "--json", "--stream"], numbers)).stdout
    .trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(stream.map(({ step }) => step), [...Array(steps).keys()].map((i) => i + 1));
  for (const [i, { probabilities }] of stream.entries()) check(probabilities, i);
  const table = (await run(["classify", CLASSIFIER, "-"], numbers)).stdout.trimEnd().split("\n");
  assertEquals(table.length, classes);
  assertEquals(table[0]?.split("\t")[0], last.label);
});

Deno.test("infer() inspect reads config, tensors and sizes", async () => {
  const json = JSON.parse((await run(["inspect", LM, "--json"])).stdout);
  assertEquals(json.kind, "model");
  // Two layers of 128 channels, each with 4 columns of convolution and 16 of state, in f32.
  assertEquals(json.stateBytes, 2 * 128 * (4 + 16) * 4);
  assertEquals(json.config.d_model, 64);
  assertEquals(json.tensors[0], {
    name: "backbone.embeddings.weight",
    dtype: "F32",
    shape: [256, 64],
    sizeBytes: 65536,
  });
  assertEquals(json.tensorBytes, json.parameters * 4);
  const { stdout } = await run(["inspect", goldenPath("mamba1-odd-raw")]);
  assertMatch(stdout, /^d_model +52$/m);
  assertMatch(stdout, /^backbone\.layers\.0\.mixer\.A_log +F32 +\[156, 12\]$/m);
});

Deno.test("infer() inspect tells the families apart, and counts their states", async () => {
  const found = async (name: string) => {
    const json = JSON.parse((await run(["inspect", goldenPath(name), "--json"])).stdout);
    return [json.family, json.dtype, json.stateBytes];
  };
  assertEquals(await found("mamba1"), ["Mamba-1", "f32", 2 * 128 * (4 + 16) * 4]);
  assertEquals(await found("falcon-mamba"), ["FalconMamba", "bf16", 2 * 56 * (4 + 12) * 4]);
  // conv1d has the channels of B and C beside the others; a head's channels have a state each.
  assertEquals(await found("mamba2-raw"), ["Mamba-2", "f16", 2 * ((64 + 32) * 4 + 64 * 16) * 4]);
  assertEquals(await found("codestral"), ["Mamba-2", "bf16", 2 * ((64 + 128) * 4 + 64 * 8) * 4]);
  const { stdout } = await run(["inspect", goldenPath("mamba2")]);
  assertMatch(stdout, /^family +Mamba-2$/m);
  assertMatch(stdout, /^dt_limit +\[0,"Infinity"\]$/m);
});

/** The only tensor of a safetensors file. */
function readTensor(path: string): { shape: number[]; data: Float32Array } {
  const bytes = Deno.readFileSync(path);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  return { shape: header.logits.shape, data: new Float32Array(bytes.slice(start).buffer) };
}
