/**
 * `bench browser`: tokens a second of the CPU executor in Chromium's page and in this Deno, in turn, and their ratio.
 *
 * On a machine that does other work, too, the fastest text of each says more than the medians.
 *
 * --tokens     of each text (default 400)
 * --pairs      of texts (default 9)
 * --threads    1, or as many as each takes for itself (default 1)
 */

import { parseArgs } from "@std/cli/parse-args";
import { chromium, type Page } from "npm:playwright-core@1.64.1";
import { loadModel, type Model } from "../../mod.ts";
import { buildWeb } from "../build_web.ts";
import { findBrowser } from "../ensure_browser.ts";
import { folderHandler } from "../serve_folder.ts";
import { type Result, round } from "./result.ts";

const WEIGHTS = "weights/shakespeare";
const PROMPT = "ROMEO:\n";

/** Runs the benchmark. */
export async function* browser(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["tokens", "pairs", "threads"],
    default: { tokens: "400", pairs: "9", threads: "1" },
  });
  const maxTokens = Number(options.tokens);
  const single = options.threads === "1";
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    throw new Error("Cannot time the page: there is no browser. Run tools/ensure_browser.ts");
  }
  const folder = await Deno.makeTempDir();
  try {
    await buildWeb(folder);
    await using server = Deno.serve(
      { port: 0, hostname: "localhost", onListen() {} },
      // A page that is not isolated has one thread.
      folderHandler(folder, { isolated: !single }),
    );
    const chrome = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const page = await chrome.newPage();
      // The engine alone: the page itself would read a digit meanwhile.
      await page.route("**/page.js", (route) => route.fulfill({ contentType: "text/javascript" }));
      await page.goto(`http://localhost:${server.addr.port}/`);
      using model = await loadModel(new URL(`../../${WEIGHTS}`, import.meta.url), {
        backend: "cpu",
        ...(single ? { threads: 1 } : {}),
      });
      const device = await openInPage(page);
      const pairs: { readonly page: number; readonly deno: number }[] = [];
      for (let i = 0; i <= Number(options.pairs); i++) {
        const pair = {
          page: await rateInPage(page, maxTokens),
          deno: await rate(model, maxTokens),
        };
        // The first warms both up.
        if (i > 0) pairs.push(pair);
      }
      yield {
        bench: "browser",
        device,
        deno: model.device,
        weights: WEIGHTS,
        tokens: maxTokens,
        pairs: pairs.length,
        page: summary(pairs.map(({ page }) => page)),
        here: summary(pairs.map(({ deno }) => deno)),
        medianRatio: round(median(pairs.map(({ page, deno }) => page / deno)), 3),
        ratioOfFastest: round(
          Math.max(...pairs.map(({ page }) => page)) / Math.max(...pairs.map(({ deno }) => deno)),
          3,
        ),
      };
    } finally {
      await chrome.close();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the page has of its engine: a worker and a call of it. */
interface EnginePage {
  call(name: string, argument: unknown): Promise<Record<string, unknown>>;
}

/** Loads the model in a worker of the page; gives what it runs on. */
async function openInPage(page: Page): Promise<string> {
  return await page.evaluate(async (weights) => {
    const worker = new Worker("engine_worker.js", { type: "module" });
    let id = 0;
    const engine: EnginePage = {
      call: (name, argument) =>
        new Promise((resolve, reject) => {
          const own = ++id;
          const listen = ({ data }: MessageEvent) => {
            if (data.id !== own || data.kind === "event") return;
            worker.removeEventListener("message", listen);
            if (data.kind === "error") reject(new Error(data.message));
            else resolve(data.value);
          };
          worker.addEventListener("message", listen);
          worker.postMessage({ id: own, name, argument });
        }),
    };
    Object.assign(globalThis, { engine });
    const source = new URL(`${weights}/`, String(globalThis.location)).href;
    const choice = { backend: "cpu" };
    const { device } = await engine.call("load", { slot: "text", source, choice });
    return String(device);
  }, WEIGHTS);
}

/** Tokens a second of one text in the page, as the page shows them. */
async function rateInPage(page: Page, maxTokens: number): Promise<number> {
  return await page.evaluate(async ({ prompt, maxTokens }) => {
    const { engine } = globalThis as unknown as { engine: EnginePage };
    const { stream } = await engine.call("openStream", { prompt, seed: 7 });
    const drawing = { seed: 7, temperature: 0.8, topP: 1, maxTokens };
    const { tokens, elapsedMs } = await engine.call("write", { stream, drawing });
    await engine.call("closeStream", { stream });
    return Number(tokens) / Number(elapsedMs) * 1000;
  }, { prompt: PROMPT, maxTokens });
}

/** The same here. */
async function rate(model: Model, maxTokens: number): Promise<number> {
  using session = model.createSession({ seed: 7 });
  await session.prefill(model.tokenizer?.encode(PROMPT) ?? []);
  const start = performance.now();
  let tokens = 0;
  for await (const _ of session.generate({ seed: 7, temperature: 0.8, maxTokens })) tokens++;
  return tokens / (performance.now() - start) * 1000;
}

/** Of rates. */
function summary(rates: readonly number[]): Readonly<Record<string, number>> {
  return { median: round(median(rates), 0), fastest: round(Math.max(...rates), 0) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
