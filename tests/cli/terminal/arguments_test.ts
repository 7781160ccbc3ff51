import { assertEquals, assertThrows } from "@std/assert";
import {
  type CommandSpec,
  parseArguments,
  UsageError,
} from "../../../src/cli/terminal/arguments.ts";

const SPEC: CommandSpec = {
  name: "draw",
  summary: "Draws.",
  positionals: ["<model>", "[image]"],
  required: 1,
  example: "draw x",
  options: [
    { name: "temperature", value: "T", help: "" },
    { name: "max-tokens", value: "N", help: "" },
    { name: "prompt", value: "TEXT", help: "" },
    { name: "stop", value: "TEXT", repeats: true, help: "" },
    { name: "json", help: "" },
  ],
};

const parse = (...args: string[]) => parseArguments(SPEC, args);

Deno.test("parseArguments() takes options anywhere and in both forms", () => {
  const args = parse("--temperature", "0.5", "m", "--max-tokens=7", "--json", "i.png");
  assertEquals(args.positionals, ["m", "i.png"]);
  assertEquals(args.number("temperature"), 0.5);
  assertEquals(args.integer("max-tokens"), 7);
  assertEquals(args.has("json"), true);
  assertEquals(parse("m").has("json"), false);
  assertEquals(parse("m").number("temperature"), undefined);
});

Deno.test("parseArguments() keeps texts as they are", () => {
  assertEquals(parse("007", "--prompt", "1e3").text("prompt"), "1e3");
  assertEquals(parse("007").positionals, ["007"]);
  assertEquals(parse("m", "--prompt", "").text("prompt"), "");
  assertEquals(parse("m", "--prompt=a=b").text("prompt"), "a=b");
  assertEquals(parse("m", "--prompt", "--json").text("prompt"), "--json");
  assertEquals(parse("m", "-").positionals, ["m", "-"]);
  assertEquals(parse("--", "m", "--json").positionals, ["m", "--json"]);
  assertEquals(parse("m", "--stop", "1", "--stop", "", "--stop=b").texts("stop"), ["1", "", "b"]);
});

Deno.test("parseArguments() refuses what the usage does not have", () => {
  const bad: [string[], string][] = [
    [[], "Cannot run draw: <model> is missing"],
    [["m", "i", "x"], 'unexpected argument "x"'],
    [["m", "--temprature", "1"], "Cannot use --temprature: draw has no such option"],
    [["m", "--temp=1"], "Did you mean --temperature?"],
    [["m", "--no-json"], "Cannot use --no-json"],
    [["m", "-t"], "Cannot use -t"],
    [["m", "--prompt"], "Cannot use --prompt: its value TEXT is missing"],
    [["m", "--json=no"], "--json has no value"],
    [["m", "--prompt", "a", "--prompt=b"], "Cannot use --prompt 2 times"],
    [["m", "--__proto__", "1"], "Cannot use --__proto__"],
  ];
  for (const [args, message] of bad) assertThrows(() => parse(...args), UsageError, message);
});

Deno.test("Arguments.number() refuses what is not a number within the bounds", () => {
  const number = (text: string) =>
    parse("m", "--temperature", text).number("temperature", { min: 0, max: 2 });
  assertEquals(number("0"), 0);
  assertEquals(number("2"), 2);
  assertEquals(number(".5"), 0.5);
  assertEquals(number("1e-3"), 0.001);
  for (const text of ["-1", "2.1", "", " 1", "0x1", "NaN", "Infinity", "1e999", "one", "1,5"]) {
    assertThrows(() => number(text), UsageError, "expected a number of 0 or more, at most 2");
  }
  assertThrows(
    () => parse("m", "--temperature=-1").number("temperature", { min: 0 }),
    UsageError,
    "Cannot use --temperature -1: expected a number of 0 or more",
  );
  const above = () => parse("m", "--temperature=0").number("temperature", { above: 0 });
  assertThrows(above, UsageError, "expected a number above 0");
});

Deno.test("Arguments.integer() refuses fractions and numbers too large to be exact", () => {
  const integer = (text: string) => parse("m", "--max-tokens", text).integer("max-tokens");
  assertEquals(integer("-3"), -3);
  for (const text of ["1.5", "x", "9007199254740993"]) {
    assertThrows(() => integer(text), UsageError, "expected a whole number");
  }
});

Deno.test("Arguments.word() names the words that it takes", () => {
  const word = (text: string) =>
    parse("m", "--prompt", text).word("prompt", ["auto", "f32", "f16"] as const);
  assertEquals(word("f16"), "f16");
  assertThrows(() => word("f8"), UsageError, "Cannot use --prompt f8: expected auto, f32 or f16");
});
