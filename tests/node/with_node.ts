/** Node of the oldest version that this project runs in, whatever this machine has. */

import { npmPackageFolder } from "../../src/io/datasets/npm_package.ts";

const ROOT = new URL("../../", import.meta.url);

/** Node comes from npm, where each system's is a package. */
const PACKAGE = `node-${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}@22.23.3`;

/** Where it is, once npm gave it. */
export async function nodePath(): Promise<string> {
  return decodeURIComponent(new URL("bin/node", await npmPackageFolder(PACKAGE)).pathname);
}

/** Runs a program in Node; gives what it printed. */
export async function runInNode(folder: string, program: string): Promise<string> {
  await Deno.writeTextFile(`${folder}/main.mjs`, program);
  return await run(await nodePath(), ["main.mjs"], folder);
}

/** Runs Deno, in the repository unless told otherwise. */
export async function runDeno(args: string[], cwd: string | URL = ROOT): Promise<string> {
  return await run(Deno.execPath(), args, cwd);
}

async function run(command: string, args: string[], cwd: string | URL): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  if (code !== 0) {
    throw new Error(`${command} ${args.join(" ")} ends with ${code}: ${decoder.decode(stderr)}`);
  }
  return decoder.decode(stdout);
}

/** An empty folder for a test. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "slither_node_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
