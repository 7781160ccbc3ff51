/** The test files in parts, which run one after the other in each lane: see run_tests.ts. */

/** Files that take more than ten seconds, the longest first. */
export const SLOW: readonly string[] = [
  "tests/ops/linear_test.ts",
  "tests/docs_test.ts",
  "tests/engine/lifetime_test.ts",
  "tests/engine/session_test.ts",
  "tests/train/trainer_test.ts",
  "tests/train/train_test.ts",
  "tests/train/kill_test.ts",
  "tests/engine/golden_test.ts",
  "tests/engine/abort_test.ts",
  "tests/engine/s4_test.ts",
  "tests/train/carried_state_test.ts",
  "tests/engine/mamba3_test.ts",
  "tests/engine/constant_memory_test.ts",
  "tests/ops/ssd_bwd_test.ts",
  "tests/readme_test.ts",
  "tests/engine/company_test.ts",
  "tests/tools/random_checkpoint_test.ts",
  "tests/tools/bench_all_test.ts",
  "tests/engine/quantized_test.ts",
  "tests/page_test.ts",
  "tests/ops/mamba3_test.ts",
  "tests/ops/mamba3_bwd_test.ts",
  "tests/ops/sizes_test.ts",
  "tests/engine/turns_test.ts",
  "tests/cli/infer/compiling_line_test.ts",
  "tests/node/node_test.ts",
  "tests/engine/mamba2_test.ts",
  "tests/cpu/linear_test.ts",
];

/** Files of a part of the others: few enough that no lane ends long after the rest. */
const PART_FILES = 12;

/** What runs elsewhere: in a browser. */
const ELSEWHERE = "tests/web";

/** Files of the parts: each slow one is a part, then some of the rest of each folder. */
export async function testParts(root: URL): Promise<string[][]> {
  const slow = new Set(SLOW);
  const rest: string[][] = [];
  const own: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL("tests", root))) {
    const path = `tests/${name}`;
    if (isDirectory && path !== ELSEWHERE) rest.push(await testFiles(root, path));
    else if (name.endsWith("_test.ts")) own.push(path);
  }
  const parts = [...rest, own].flatMap((files) => {
    const others = files.filter((file) => !slow.has(file)).sort();
    return Array.from(
      { length: Math.ceil(others.length / PART_FILES) },
      (_, i) => others.slice(i * PART_FILES, (i + 1) * PART_FILES),
    );
  });
  return [...SLOW.map((file) => [file]), ...parts.toSorted((a, b) => b.length - a.length)];
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
