/** The test files in parts, which run one after the other on each core: see run_tests.ts. */

/** Files that take more than ten seconds of a core, the longest first. */
export const SLOW: readonly string[] = [
  "tests/train/trainer_test.ts",
  "tests/ops/linear_test.ts",
  "tests/train/train_test.ts",
  "tests/engine/session_test.ts",
  "tests/engine/lifetime_test.ts",
  "tests/readme_test.ts",
  "tests/train/carried_state_test.ts",
  "tests/engine/golden_test.ts",
  "tests/tools/bench_all_test.ts",
  "tests/engine/constant_memory_test.ts",
  "tests/ops/ssd_bwd_test.ts",
  "tests/node/node_test.ts",
  "tests/train/kill_test.ts",
  "tests/engine/quantized_test.ts",
  "tests/engine/turns_test.ts",
  "tests/engine/mamba2_test.ts",
  "tests/cpu/linear_test.ts",
];

/** What runs elsewhere: in a browser. */
const ELSEWHERE = "tests/web";

/** Files of the parts: each slow one is a part, then the rest of each folder. */
export async function testParts(root: URL): Promise<string[][]> {
  const slow = new Set(SLOW);
  const rest: string[][] = [];
  const own: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL("tests", root))) {
    const path = `tests/${name}`;
    if (isDirectory && path !== ELSEWHERE) rest.push(await testFiles(root, path));
    else if (name.endsWith("_test.ts")) own.push(path);
  }
  rest.sort((a, b) => b.length - a.length);
  return [
    ...SLOW.map((file) => [file]),
    ...[...rest, own].map((files) => files.filter((file) => !slow.has(file)).sort())
      .filter((files) => files.length > 0),
  ];
}

/** All test files below a folder. */
export async function testFiles(root: URL, folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await testFiles(root, path));
    else if (name.endsWith("_test.ts")) found.push(path);
  }
  return found;
}
