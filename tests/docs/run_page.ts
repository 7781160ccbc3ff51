/** Runs a page of docs/ in a copy of the repository, as its reader would. */

import { LocalHub } from "../io/hub/local_hub.ts";
import { nodePath } from "../node/with_node.ts";
import type { Command, Page } from "./page.ts";
import { hasShape, outputLines } from "./shape.ts";

const ROOT = new URL("../../", import.meta.url);

/** What pages use of the repository. */
const COPIED = [
  ...[
    "deno.json",
    "deno.lock",
    "mod.ts",
    "infer.ts",
    "train.ts",
    "README.md",
    "LICENSE",
    "docs/why.md",
    "docs/plots",
  ],
  ...["src", "kernels", "tools", "weights", "tests/golden"],
];

/** What a command printed. */
export interface Outcome {
  readonly command: Command;
  readonly found: readonly string[];
  /** Whether it ended well, and printed what the page shows. */
  readonly passed: boolean;
}

/** A copy of the repository in which pages are run, one after the other; disposing removes it. */
export class Checkout implements AsyncDisposable {
  readonly #folder: string;
  readonly #denoDir: string;

  private constructor(folder: string, denoDir: string) {
    this.#folder = folder;
    this.#denoDir = denoDir;
  }

  static async make(): Promise<Checkout> {
    const folder = await Deno.makeTempDir({ prefix: "slither_docs_" });
    for (const path of COPIED) await copy(new URL(path, ROOT), `${folder}/${path}`);
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] })
      .output();
    return new Checkout(folder, JSON.parse(new TextDecoder().decode(stdout)).denoDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** Runs all that a page shows. What it leaves behind is gone before the next. */
  async *run(page: Page): AsyncGenerator<Outcome> {
    const before = new Set([...Deno.readDirSync(this.#folder)].map(({ name }) => name));
    await using hub = new LocalHub();
    for (const [name, folder] of page.hub) {
      const names = [...Deno.readDirSync(new URL(folder, ROOT))].map(({ name }) => name);
      hub.addFolder(name, "main", decodeURIComponent(new URL(folder, ROOT).pathname), names);
    }
    const port = String(freePort());
    const env = {
      ...this.#environment(),
      ...(page.hub.size > 0 ? { HF_ENDPOINT: hub.endpoint } : {}),
    };
    const background: Background[] = [];
    try {
      for (const step of page.steps) {
        if (step.kind === "program") {
          const text = step.text.replaceAll("FREE_PORT", port);
          await Deno.writeTextFile(`${this.#folder}/${step.name}`, text);
          continue;
        }
        const line = (await withoutInstalling(step.run)).replaceAll("FREE_PORT", port)
          .replaceAll("REPOSITORY/", decodeURIComponent(ROOT.pathname));
        if (line.endsWith("&")) {
          const started = new Background(line.slice(0, -1), { cwd: this.#folder, env });
          background.push(started);
          const found = await started.printed(step.output ?? []);
          yield { command: step, found, passed: hasShape(found, step.output ?? found) };
          continue;
        }
        const { code, stdout } = await new Deno.Command("sh", {
          args: ["-c", `{ ${line}\n} 2>&1`],
          ...{ cwd: this.#folder, env, stdin: "null" },
        }).output();
        const own = outputLines(new TextDecoder().decode(stdout));
        const { output = own, wordsVary } = step;
        // What the others print meanwhile stands below it, as in a terminal.
        const isDone = (found: string[]) => hasShape(found, output, wordsVary);
        const found = await withMeanwhile(own, background, isDone);
        yield { command: step, found, passed: code === 0 && isDone(found) };
      }
    } finally {
      for (const started of background) await started.end();
      for (const { name } of [...Deno.readDirSync(this.#folder)]) {
        if (!before.has(name)) await Deno.remove(`${this.#folder}/${name}`, { recursive: true });
      }
    }
  }

  #environment(): Record<string, string> {
    const path = Deno.execPath().replace(/\/[^/]*$/, "");
    return {
      ...{ NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_DIR: this.#denoDir },
      ...{ HOME: `${this.#folder}/home`, PATH: `${path}:${Deno.env.get("PATH") ?? ""}` },
      // Pages show what there is without a GPU, wherever they are tried.
      ...{ VK_DRIVER_FILES: "/no/driver", VK_ICD_FILENAMES: "/no/driver" },
    };
  }
}

/** The line with this Deno in the place of the one that npx installs, and with the tests' Node. */
async function withoutInstalling(line: string): Promise<string> {
  const own = line.replaceAll(/npx -y deno@[\d.]+/g, "deno");
  return own.startsWith("node ") ? own.replace("node", await nodePath()) : own;
}

/** Lines and what others print after them, until it is enough or nothing comes for a while. */
async function withMeanwhile(
  lines: string[],
  background: readonly Background[],
  isEnough: (lines: string[]) => boolean,
): Promise<string[]> {
  const all = () => [...lines, ...background.flatMap((other) => other.unseen())];
  for (let wait = 0; background.length > 0 && !isEnough(all()) && wait < 100; wait++) {
    await pause();
  }
  const found = all();
  for (const other of background) other.see();
  return found;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A command that goes on while others run. */
class Background {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #text = "";
  #seen = 0;
  #ended = false;

  constructor(line: string, options: { cwd: string; env: Record<string, string> }) {
    this.#process = new Deno.Command("sh", {
      args: ["-c", `exec ${line} 2>&1`],
      ...{ ...options, stdin: "null", stdout: "piped", stderr: "inherit" },
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      this.#text += text;
    }
    this.#ended = true;
  }

  /** Its output, once that has as many lines as these, or it ended. */
  async printed({ length }: readonly string[]): Promise<string[]> {
    while (!this.#ended && outputLines(this.#text).length < length) {
      await pause();
    }
    this.see();
    return outputLines(this.#text);
  }

  /** What it printed since somebody saw it. */
  unseen(): string[] {
    return outputLines(this.#text.slice(this.#seen));
  }

  see(): void {
    this.#seen = this.#text.length;
  }

  async end(): Promise<void> {
    if (!this.#ended) this.#process.kill();
    await this.#reading;
    await this.#process.status;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function copy(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(name, `${from}/`), `${to}/${name}`);
  }
}
