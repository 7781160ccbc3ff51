import { assertEquals, assertMatch } from "@std/assert";

const TOOL = decodeURI(new URL("../../tools/ensure_adapter.ts", import.meta.url).pathname);

/** Runs the tool so that it cannot install anything, and gives its exit code and stderr. */
async function check(env: Record<string, string>): Promise<{ code: number; text: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", TOOL, "--check-only"],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return { code, text: new TextDecoder().decode(stderr) };
}

Deno.test("ensure_adapter.ts names the adapter that will be used", async () => {
  const { code, text } = await check({});
  assertEquals(code, 0, text);
  assertMatch(text, /^WebGPU adapter: \S/m);
});

Deno.test({
  name: "ensure_adapter.ts says what to install where there is no driver, and fails",
  // The Vulkan loader's variable, which hides every driver, exists there alone.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { code, text } = await check({
      VK_DRIVER_FILES: "/nonexistent",
      VK_ICD_FILENAMES: "/nonexistent",
    });
    assertEquals(code, 1, text);
    assertMatch(text, /^Cannot find a GPU adapter: .*apt-get install mesa-vulkan-drivers/m);
  },
});
