import { assert, assertEquals } from "@std/assert";
import { s4Kernel } from "../../../src/checks/reference/s4_kernel.ts";
import { goldenPath, readGoldenTensors } from "../../golden_files.ts";

const MAIN = new URL("../../../infer.ts", import.meta.url).pathname;

async function inspect(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, "inspect", ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("inspect --kernel gives S4's kernel, and a plot of it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const svg = `${folder}/k.svg`;
    const { code, stdout } = await inspect(
      ...[goldenPath("s4"), "--kernel", "1", "--length", "40", "--svg", svg, "--json"],
    );
    assertEquals(code, 0);
    const { layer, K, steps } = JSON.parse(stdout);
    assertEquals([layer, K.length, K[0].length, steps.length], [1, 6, 40, 6]);
    const tensors = readGoldenTensors("s4", "model.safetensors");
    const own = (name: string, row: number) =>
      tensors[`backbone.layers.1.mixer.${name}`]?.data[row * 6 + 2] ?? NaN;
    const part = (name: string) =>
      [0, 1, 2, 3].map((n) => [own(name, 2 * n), own(name, 2 * n + 1)] as const);
    const expected = s4Kernel({
      Lambda: [0, 1, 2, 3].map((n) => [own("Lambda_re", n), own("Lambda_im", n)]),
      P: part("P"),
      B: part("B"),
      C: part("C"),
      step: steps[2],
    }, 40);
    for (const [l, value] of expected.entries()) assert(Math.abs(K[2][l] - value) < 1e-6);
    const plot = await Deno.readTextFile(svg);
    assertEquals(plot.match(/<polyline /g)?.length, 6);
    assert(plot.startsWith("<svg ") && plot.endsWith("</svg>\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("inspect --kernel says what has no kernel", async () => {
  const none = await inspect(goldenPath("mamba1"), "--kernel", "0", "--svg", "/dev/null");
  assert(none.code !== 0 && none.stderr.includes('the model is of type "mamba"'), none.stderr);
  const folder = await Deno.makeTempDir();
  const far = await inspect(goldenPath("s4d"), "--kernel", "9", "--svg", `${folder}/k.svg`);
  await Deno.remove(folder, { recursive: true });
  assert(far.code !== 0 && far.stderr.includes("--kernel is 9, expected 0 to 1"), far.stderr);
});
