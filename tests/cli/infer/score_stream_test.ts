import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { RunningPerplexity, SurpriseAlarm } from "../../../src/cli/infer/score/running_score.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

const LM = goldenPath("mamba1");
const TEXT = "Hey, this is a text.\n\nIt has lines, and words.\n";
const CPU = ["--backend", "cpu"];

async function run(args: string[], stdin: string): Promise<FakeTerminal> {
  const terminal = new FakeTerminal({ stdin });
  assertEquals(await infer([...args, ...CPU], terminal), 0, terminal.stderr);
  return terminal;
}

const objects = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("infer() score - prints a line a token, with the scores and sums of the whole text", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text`, TEXT);
    const whole = JSON.parse(
      (await run(["score", LM, "--text", `${folder}/text`, "--json"], "")).stdout,
    );
    const lines = objects((await run(["score", LM, "-", "--json"], TEXT)).stdout);
    const { summary } = lines.pop();
    assertEquals(summary.scored, whole.scored);
    assertAlmostEquals(summary.natsPerToken, whole.natsPerToken, 1e-5);
    assertAlmostEquals(summary.bitsPerByte, whole.bitsPerByte, 1e-5);
    assertEquals(lines.map(({ id }) => id), whole.scores.map(({ id }: { id: number }) => id));
    assertEquals(lines.map(({ position }) => position), [...lines.keys()]);
    assertEquals(lines.map(({ text }) => text).join(""), TEXT);
    for (const [i, { logprob, surprisal }] of lines.entries()) {
      if (i === 0) assertEquals(surprisal, null);
      else assertAlmostEquals(surprisal, -logprob / Math.LN2, 1e-9);
      assertAlmostEquals(logprob ?? 0, whole.scores[i].logprob ?? 0, 1e-4);
    }
    const text = (await run(["score", LM, "-"], TEXT)).stdout.split("\n");
    assertEquals(text[0], `${"H".charCodeAt(0)}\t-\t-\t"H"`);
    assertMatch(text[1] ?? "", /^\d+\t\d+\.\d{4}\t\d+\.\d{4}\t"e"$/);
    const sums = (await run(["score", LM, "-", "--summary", "--json"], TEXT)).stdout;
    assertEquals(JSON.parse(sums).scored, summary.scored);
    assertAlmostEquals(JSON.parse(sums).natsPerToken, summary.natsPerToken, 1e-5);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer() score - goes on from a saved state as if it had never stopped", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const state = `${folder}/state`;
    const [first, second] = [TEXT.slice(0, 22), TEXT.slice(22)];
    const whole = objects((await run(["score", LM, "-", "--json"], TEXT)).stdout);
    const save = ["--save-state", state, "--save-every", "5"];
    const { stderr } = await run(["score", LM, "-", "--json", ...save], first);
    assertMatch(stderr, /State: .+, after 22 inputs\n/);
    const rest = objects(
      (await run(["score", LM, "-", "--json", "--load-state", state], second)).stdout,
    );
    rest.pop();
    for (const { position, id, logprob } of rest) {
      assertEquals(id, whole[position].id);
      assertAlmostEquals(logprob, whole[position].logprob, 1e-4);
    }
    assertEquals(rest.length, TEXT.length - 22);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer() score --alarm says where surprise starts and ends", async () => {
  const args = ["score", LM, "-", "--json", "--alarm", "8", "--alarm-window", "4"];
  const events = objects((await run(args, TEXT)).stdout).filter(({ alarm }) => alarm !== undefined);
  assert(events.length > 0);
  for (const [i, { alarm, bits, position, text }] of events.entries()) {
    assertEquals(alarm, i % 2 === 0 ? "start" : "end");
    assertEquals(bits >= 8, alarm === "start");
    assertEquals(text, TEXT.slice(position - 3, position + 1));
  }
});

Deno.test("infer() score refuses what a stream has not, and an empty one", async () => {
  const cases: [string[], string, number, string][] = [
    [["score", LM, "x"], "", 2, 'Cannot score "x": give --text FILE, or - for stdin'],
    [["score", LM, "-", "--text", "x"], "", 2, "Cannot use --text and - together"],
    [
      ["score", LM, "--ids", "x", "--alarm", "3"],
      "",
      2,
      "Cannot use --alarm: it belongs to a stream",
    ],
    [["score", LM, "-", "--alarm-window", "3"], "a", 2, "it belongs to --alarm"],
    [["score", LM, "-", "--save-every", "3"], "a", 2, "give --save-state FILE, too"],
    [["score", LM, "-"], "", 1, 'Cannot read "stdin": it is empty, expected text'],
  ];
  for (const [args, stdin, code, message] of cases) {
    const terminal = new FakeTerminal({ stdin });
    assertEquals(await infer([...args, ...CPU], terminal), code, terminal.stderr);
    assert(terminal.stderr.includes(message), terminal.stderr);
  }
});

Deno.test("RunningPerplexity halves what a token counts after so many others", () => {
  const perplexity = new RunningPerplexity(1);
  assertAlmostEquals(perplexity.add(-1), Math.E, 1e-12);
  // The first counts a half, and this one nothing: e^(1/2 / (1 + 1/2)).
  assertAlmostEquals(perplexity.add(0), Math.exp(1 / 3), 1e-12);
});

Deno.test("SurpriseAlarm is silent until its window is full, and says each change once", () => {
  const alarm = new SurpriseAlarm(2, 2);
  const events = [9, 1, 1, 3, 3, 0].map((bits) => alarm.add({ bits, text: `${bits}` })?.alarm);
  assertEquals(events, [undefined, "start", "end", "start", undefined, "end"]);
});
