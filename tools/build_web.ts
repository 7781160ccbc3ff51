/** Builds the page: a folder of static files that any host serves, from any path. */

const ROOT = new URL("..", import.meta.url);

/** What the page's models are made of; the digits are images of MNIST's test set. */
const MODEL_FILES: Readonly<Record<string, readonly string[]>> = {
  mnist: [
    "config.json",
    "model.safetensors",
    ...Array.from({ length: 10 }, (_, digit) => `digits/${digit}.png`),
  ],
  shakespeare: ["config.json", "model.safetensors", "tokenizer.json"],
  "spoken-digits": ["config.json", "model.safetensors"],
  cifar10: ["config.json", "model.safetensors"],
  "mnist-pixels": ["config.json", "model.safetensors"],
};

/**
 * Builds the page into a folder, which is emptied first.
 *
 * @param folder Its path.
 */
export async function buildWeb(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(ignoreMissing);
  await Deno.mkdir(folder, { recursive: true });
  await deno([
    ...["bundle", "--quiet", "--platform", "browser", "--code-splitting", "--minify"],
    ...["--outdir", folder],
    ...["page.ts", "engine_worker.ts", "microphone_worklet.ts"].map((name) => `src/web/${name}`),
  ]);
  await Deno.copyFile(new URL("src/web/index.html", ROOT), `${folder}/index.html`);
  for (const [model, files] of Object.entries(MODEL_FILES)) {
    for (const file of files) {
      const path = `weights/${model}/${file}`;
      await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.copyFile(new URL(path, ROOT), `${folder}/${path}`);
    }
  }
}

async function deno(args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
  if (code !== 0) {
    throw new Error(`Cannot build the page: deno ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
