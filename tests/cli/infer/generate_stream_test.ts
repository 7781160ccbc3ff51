import { assert, assertEquals } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { InTurn } from "../../../src/cli/infer/generate_output.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

const LM = goldenPath("mamba1");
const ARGS = ["generate", LM, "--seed", "3", "--max-tokens", "12", "--backend", "cpu"];

async function run(args: string[], stdin?: string): Promise<string> {
  const terminal = new FakeTerminal(stdin === undefined ? {} : { stdin });
  assertEquals(await infer([...ARGS, ...args], terminal), 0, terminal.stderr);
  return terminal.stdout;
}

Deno.test("infer() generate feeds a prompt on stdin as it comes, and draws what it draws after the whole", async () => {
  const prompt = "Words that come bit by bit, and one another after. ".repeat(5);
  assertEquals(
    await run(["--print-ids", "--temperature", "0"], prompt),
    await run(["--print-ids", "--temperature", "0", "--prompt", prompt]),
  );
});

Deno.test("infer() generate --branches draws what each seed draws alone", async () => {
  const alone: number[][] = [];
  for (const seed of ["3", "4", "5"]) {
    const terminal = new FakeTerminal();
    const args = ARGS.map((arg, i) => ARGS[i - 1] === "--seed" ? seed : arg);
    await infer([...args, "--prompt", "Hey", "--print-ids"], terminal);
    alone.push(JSON.parse(terminal.stdout));
  }
  const ids = (await run(["--prompt", "Hey", "--print-ids", "--branches", "3"])).trimEnd().split(
    "\n",
  );
  assertEquals(ids.map((line) => JSON.parse(line)), alone);
  const lines = (await run(["--prompt", "Hey", "--json", "--branches", "3"])).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  for (const [branch, expected] of alone.entries()) {
    const tokens = lines.filter((line) => line.branch === branch && line.id !== undefined);
    assertEquals(tokens.map(({ id }) => id), expected);
  }
  const text = await run(["--prompt", "Hey", "--branches", "2"]);
  assert(text.startsWith("[1] seed 3\n") && text.includes("\n[2] seed 4\n"), text);
});

Deno.test("infer() generate --branches refuses what is of one continuation", async () => {
  const terminal = new FakeTerminal();
  const args = [...ARGS, "--prompt", "a", "--branches", "2", "--save-state", "x"];
  assertEquals(await infer(args, terminal), 2);
  assert(terminal.stderr.includes("Cannot use --branches and --save-state together"));
});

Deno.test("InTurn prints the first text as it comes, and the others when it is their turn", () => {
  let printed = "";
  const inTurn = new InTurn(["A", "B"], (text) => printed += text);
  inTurn.write(1, "2");
  assertEquals(printed, "A");
  inTurn.write(0, "1");
  assertEquals(printed, "A1");
  inTurn.end(1);
  assertEquals(printed, "A1");
  inTurn.end(0);
  assertEquals(printed, "A1B2");
});
