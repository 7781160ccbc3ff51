import { assertEquals, assertThrows } from "@std/assert";
import { encodeText } from "../../../src/cli/infer/encode_text.ts";
import { charactersOf, characterTokenizer } from "../../../src/io/datasets/text.ts";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

Deno.test("encodeText() says which characters a vocabulary does not have", () => {
  const tokenizer = loadTokenizer(characterTokenizer(charactersOf("to be\n")), "x");
  const encode = (text: string) => {
    const terminal = new FakeTerminal();
    const ids = encodeText(text, "prompt", { tokenizer }, terminal);
    return [tokenizer.decode([...ids]), terminal.stderr];
  };
  assertEquals(encode("bet\nto  be"), ["bet\nto  be", ""]);
  assertEquals(encode("bête, té"), [
    "bte t",
    'Note: the tokenizer does not keep "ê", ",", "é" of the prompt\n',
  ]);
  assertEquals(encode("🙂xyzuvwo"), [
    "o",
    'Note: the tokenizer does not keep "🙂", "x", "y", "z", "u" and 2 more of the prompt\n',
  ]);
});

Deno.test("encodeText() has nothing to say of a tokenizer of bytes", async () => {
  const path = goldenPath("mamba1", "tokenizer.json");
  const tokenizer = loadTokenizer(await Deno.readTextFile(path), path);
  const terminal = new FakeTerminal();
  encodeText("Naïve 漢字 🙂\r\n\tend  ", "text", { tokenizer }, terminal);
  assertEquals(terminal.stderr, "");
  assertThrows(
    () => encodeText("a", "text", { tokenizer: undefined }, terminal),
    TypeError,
    "Cannot encode the text: this checkpoint has no tokenizer.json",
  );
});
