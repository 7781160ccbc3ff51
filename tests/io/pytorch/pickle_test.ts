import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  PickleDict,
  PickleError,
  PickleGlobal,
  PickleObject,
  PicklePersistent,
  PickleSet,
  PickleTuple,
  type PickleValue,
  unpickle,
} from "../../../src/io/pytorch/pickle.ts";
import { type BytePart, joinBytes, le } from "../join_bytes.ts";
import { text } from "./pytorch_file.ts";

function load(...parts: BytePart[]): PickleValue {
  return unpickle(joinBytes(...parts), "data.pkl");
}

/** The value, narrowed to its class. */
function instance<T>(value: unknown, kind: abstract new (...args: never[]) => T): T {
  if (value instanceof kind) return value;
  throw new TypeError(`not a ${kind.name}: ${Deno.inspect(value)}`);
}

function contains(list: PickleValue, item: PickleValue): boolean {
  return Array.isArray(list) && list[0] === item;
}

function refused(found: string, ...parts: BytePart[]): void {
  assertThrows(() => load(...parts), PickleError, found);
}

Deno.test("unpickle() reads every opcode for numbers", () => {
  const cases: [BytePart[], PickleValue][] = [
    [["N."], null],
    [["\x88."].map(() => [0x88, 0x2e]), true],
    [[[0x89, 0x2e]], false],
    [["I01\n."], true],
    [["I00\n."], false],
    [["I-12\n."], -12],
    [["L123456789012345678901234567890L\n."], 123456789012345678901234567890n],
    [["J", le(-5, 4), "."], -5],
    [["K", 255, "."], 255],
    [["M", le(65535, 2), "."], 65535],
    [[0x8a, 0, "."], 0],
    [[0x8a, 1, 0xff, "."], -1],
    [[0x8a, 9, le(-1, 8), 0, "."], 2n ** 64n - 1n],
    [[0x8b, le(2, 4), 0, 0x80, "."], -32768],
    [["F-1.5e3\n."], -1500],
    [["Finf\n."], Infinity],
    [["G", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, "."], 1.5],
  ];
  for (const [parts, expected] of cases) assertEquals(load(...parts), expected);
});

Deno.test("unpickle() reads every opcode for text and bytes", () => {
  assertEquals(load("S'a\\x41\\n\\\\\"'\n."), 'aA\n\\"');
  assertEquals(load("V\\u00e9\\U0001f600\n."), "é\u{1f600}");
  assertEquals(load("T", le(2, 4), 0xc3, 0xa9, "."), "é");
  assertEquals(load("U", 1, 0xe9, "."), "é");
  assertEquals(load("X", le(2, 4), "é", "."), "é");
  assertEquals(load(0x8c, 2, "é", "."), "é");
  assertEquals(load(0x8d, le(2, 8), "é", "."), "é");
  for (const opcode of [["B", le(2, 4)], ["C", [2]], [[0x8e], le(2, 8)], [[0x96], le(2, 8)]]) {
    assertEquals(load(...opcode, [7, 8], "."), Uint8Array.of(7, 8));
  }
});

Deno.test("unpickle() reads every opcode for containers", () => {
  assertEquals(load("(K", 1, "K", 2, "l."), [1, 2]);
  assertEquals(load("](K", 1, "K", 2, "eK", 3, "a."), [1, 2, 3]);
  assertEquals(load(")."), new PickleTuple([]));
  assertEquals(load("(NNt."), new PickleTuple([null, null]));
  assertEquals(load("N", 0x85, "."), new PickleTuple([null]));
  assertEquals(load("K", 1, "K", 2, "K", 3, 0x87, "."), new PickleTuple([1, 2, 3]));
  assertEquals(load(0x8f, "(K", 1, 0x90, "."), new PickleSet([1]));
  assertEquals(load("(K", 1, 0x91, "."), new PickleSet([1]));
  for (const opcodes of ["(K\x01Nd.", "}K\x01Ns.", "}(K\x01Nu."]) {
    const dict = instance(load(opcodes), PickleDict);
    assertEquals([...dict.entries], [[1, null]]);
  }
});

Deno.test("unpickle() keeps shared values shared, and lets values contain themselves", () => {
  const pair = instance(load("]q", 0, "h", 0, 0x86, "."), PickleTuple);
  assertStrictEquals(pair.items[0], pair.items[1]);
  for (const put of ["p0\n", "q\0", "r\0\0\0\0"]) {
    for (const get of ["g0\n", "h\0", "j\0\0\0\0"]) {
      const cycle = load("]", put, get, "a.");
      assert(contains(cycle, cycle));
    }
  }
  const memoized = load("]", 0x94, "h", 0, "a.");
  assert(contains(memoized, memoized));
});

Deno.test("unpickle() discards and repeats stack entries", () => {
  assertEquals(load("NK", 1, "0."), null);
  assertEquals(load("K", 1, "(NN1."), 1);
  assertEquals(load("K", 1, "2", 0x86, "."), new PickleTuple([1, 1]));
  assertEquals(load([0x80, 5, 0x95], le(2, 8), "N."), null);
});

Deno.test("unpickle() runs nothing: calls stay records", () => {
  const call = instance(load("cos\nsystem\n(", text("touch executed"), "tR."), PickleObject);
  assertEquals(call.classPath, "os.system");
  assertEquals(call.args, new PickleTuple(["touch executed"]));
  for (
    const opcodes of [
      ["(", text("ls"), "ios\nsystem\n."],
      ["(cos\nsystem\n", text("ls"), "o."],
      ["cos\nsystem\n", text("ls"), [0x85, 0x81], "."],
      ["cos\nsystem\n", text("ls"), 0x85, "}", 0x92, "."],
      [text("os"), text("system"), 0x93, text("ls"), 0x85, "R."],
    ]
  ) {
    const value = instance(load(...opcodes), PickleObject);
    assertEquals([value.classPath, value.args], ["os.system", new PickleTuple(["ls"])]);
  }
});

Deno.test("unpickle() keeps what would be set on an unknown object", () => {
  const value = instance(
    load(
      "cm\nC\n)",
      0x81,
      "}",
      text("a"),
      "K",
      1,
      "sb",
      "(K",
      2,
      "e",
      text("k"),
      "Ns.",
    ),
    PickleObject,
  );
  assertEquals([...instance(value.state, PickleDict).entries], [["a", 1]]);
  assertEquals(value.items, [2]);
  assertEquals([...value.entries ?? []], [["k", null]]);
});

Deno.test("unpickle() makes plain data of the calls on its list", () => {
  const dict = instance(load("ccollections\nOrderedDict\n(((K", 1, "NtltR."), PickleDict);
  assertEquals([...dict.entries], [[1, null]]);
  assertEquals(load("c__builtin__\nset\n(](K", 1, "etR."), new PickleSet([1]));
  assertEquals(load("ctorch\nSize\n((K", 1, "ttR."), new PickleTuple([1]));
  assertEquals(load("c_codecs\nencode\n(", text("é"), text("latin1"), "tR."), Uint8Array.of(233));
  const persistent = instance(load(text("key"), "Q."), PicklePersistent);
  assertEquals(persistent.id, "key");
  assertEquals(load("cm\nC.D\n."), new PickleGlobal("m", "C.D"));
});

Deno.test("unpickle() refuses pickles that end too early, at every byte", () => {
  const whole = joinBytes(
    [0x80, 2],
    "}q",
    0,
    "(",
    text("a"),
    "K",
    1,
    text("b"),
    "G",
    le(0, 8),
    "u.",
  );
  instance(unpickle(whole, "p"), PickleDict);
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => unpickle(whole.subarray(0, length), "p"), PickleError);
  }
});

Deno.test("unpickle() refuses stacks, marks and memos that do not fit", () => {
  refused("none is on the stack", ".");
  refused("left over", "NN.");
  refused("left over", "N(N.");
  refused("a mark is needed", "t.");
  refused("2 values", "N", 0x86, ".");
  refused("none is on the stack", "]N(a.");
  refused("nothing is in the memo at 7", "h", 7, ".");
  refused("memo", "Np-1\n.");
  refused("key has no value", "}(Nu.");
  refused("holds none", "NNa.");
  refused("has none", "NNNs.");
  refused("has none", "NNb.");
  refused("no callee", "(o.");
  refused("not a tuple", "cm\nC\nNR.");
  refused("not text", "NN", 0x93, ".");
});

Deno.test("unpickle() refuses lengths beyond the end, unread", () => {
  refused("4294967295 bytes are needed", "X", le(-1, 4), ".");
  refused("bytes are needed", 0x8d, le(-1, 8), ".");
  refused("bytes are needed", 0x8e, le(2n ** 62n, 8), ".");
  refused("4294967295 bytes", 0x8b, le(-1, 4), ".");
  refused("a frame has", 0x95, le(-1, 8), "N.");
  refused("a line has no end", "cos");
});

Deno.test("unpickle() refuses opcodes and protocols that it does not know", () => {
  refused("protocol is 6", [0x80, 6], "N.");
  for (const opcode of [0x82, 0x83, 0x84, 0x97, 0x98, 0xff, 0x00]) {
    refused(`opcode 0x${opcode.toString(16).padStart(2, "0")}`, opcode, "N.");
  }
});

Deno.test("unpickle() refuses integers and numbers that are hostile or malformed", () => {
  refused("an integer has 257 bytes", 0x8b, le(257, 4), new Uint8Array(257), ".");
  refused("is not an integer", `L${"9".repeat(10_000)}\n.`);
  refused("is not an integer", "I0x1\n.");
  refused("is not a number", "F1_0\n.");
  refused("not quoted", "S'a\n.");
});

Deno.test("unpickle() stops at its limits on depth, opcodes and text", () => {
  refused("nested deeper than 1000", "(".repeat(1001));
  refused("more than 1000000 opcodes", new Uint8Array(1_000_001).fill(0x4e));
  // A list of 100,000 copied by five opcodes, a thousand times over.
  const copy = joinBytes("c__builtin__\nlist\nh", 0, 0x85, "R");
  const copies = joinBytes(...Array.from({ length: 1000 }, () => copy));
  const list = joinBytes("](", new Uint8Array(100_000).fill(0x4e), "eq", 0);
  refused("opcodes", "(", list, copies, "t.");
  const encode = joinBytes("c_codecs\nencode\nh", 0, "h", 1, 0x86, "R0");
  const encodes = joinBytes(...Array.from({ length: 100 }, () => encode));
  refused("too much text", text("x".repeat(1_000_000)), "q", 0, text("latin1"), "q", 1, encodes);
});
