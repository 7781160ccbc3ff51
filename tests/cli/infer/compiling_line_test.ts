import { assertEquals } from "@std/assert";
import { compilingLine } from "../../../src/cli/infer/compiling_line.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

Deno.test("compilingLine() shows that WebGPU compiles, on a terminal, and removes it", () => {
  const cases = [
    ["webgpu", true, "\r\x1b[KCompiling kernels\r\x1b[K"],
    ["webgpu", false, ""],
    ["cpu", true, ""],
  ] as const;
  for (const [backend, rewrites, expected] of cases) {
    const terminal = new FakeTerminal({ rewrites });
    compilingLine({ backend }, terminal)[Symbol.dispose]();
    assertEquals(terminal.stderr, expected, `${backend}, ${rewrites}`);
  }
});
