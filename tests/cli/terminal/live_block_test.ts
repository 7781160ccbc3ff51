import { assertEquals } from "@std/assert";
import { LiveBlock } from "../../../src/cli/terminal/live_block.ts";
import { FakeTerminal } from "./fake_terminal.ts";

Deno.test("LiveBlock draws over what it drew, and shows the cursor again at its end", () => {
  const terminal = new FakeTerminal();
  {
    using block = new LiveBlock(terminal);
    assertEquals(terminal.stdout, "\x1b[?25l");
    terminal.stdout = "";
    block.draw(["a", "b"]);
    assertEquals(terminal.stdout, "\ra\x1b[K\nb\x1b[K\n\x1b[J");
    terminal.stdout = "";
    block.draw(["c"]);
    assertEquals(terminal.stdout, "\r\x1b[2Ac\x1b[K\n\x1b[J");
    terminal.stdout = "";
    block.draw([]);
    assertEquals(terminal.stdout, "\r\x1b[1A\x1b[J");
    terminal.stdout = "";
  }
  assertEquals(terminal.stdout, "\r\x1b[J\x1b[?25h");
});
