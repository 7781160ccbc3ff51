/**
 * `bench serve`: clients that generate from one model in one process, as a service has them.
 *
 * --model      a checkpoint (default weights/shakespeare)
 * --backend    webgpu or cpu (default: the one that loadModel chooses)
 * --dtype      of the weights (default auto)
 * --clients    numbers of them, with commas (default 1,8,64)
 * --tokens     that each draws (default 512)
 */

import { parseArgs } from "@std/cli/parse-args";
import { loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { type Result, round } from "./result.ts";

/** What the event loop should always have time for, in milliseconds. */
const TIMER_MS = 5;

/** What a client sees of its tokens. */
interface Served {
  readonly ids: readonly number[];
  /** From the request to the first token, in milliseconds. */
  readonly firstMs: number;
  /** The longest time between two of them. */
  readonly worstMs: number;
}

/** Runs the benchmark. */
export async function* serve(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["model", "backend", "dtype", "clients", "tokens"],
    default: { model: "weights/shakespeare", clients: "1,8,64", tokens: "512" },
  });
  const tokens = Number(options.tokens);
  const { backend, dtype } = options as Pick<LoadOptions, "backend" | "dtype">;
  using model = await loadModel(options.model, {
    ...(backend && { backend }),
    ...(dtype && { dtype }),
  });
  for (const clients of options.clients.split(",").map(Number)) {
    await check(model, clients);
    await serveAll(model, clients, tokens / 4);
    const timer = new WorstGap();
    const start = performance.now();
    const served = await serveAll(model, clients, tokens);
    const elapsedMs = performance.now() - start;
    yield {
      ...{ bench: "serve", device: model.device, backend: model.backend, model: options.model },
      clients,
      tokensPerSecond: round(clients * tokens * 1000 / elapsedMs, 1),
      worstFirstTokenMs: round(Math.max(...served.map(({ firstMs }) => firstMs)), 2),
      worstTokenGapMs: round(Math.max(...served.map(({ worstMs }) => worstMs)), 2),
      worstTimerGapMs: round(timer.stop(), 2),
      deviceBytes: model.deviceBytes,
    };
  }
}

/** Tokens of clients that all begin at once, each with a prompt and a seed of its own. */
function serveAll(model: Model, clients: number, tokens: number): Promise<Served[]> {
  return Promise.all(Array.from({ length: clients }, (_, seed) => serveOne(model, seed, tokens)));
}

async function serveOne(model: Model, seed: number, tokens: number): Promise<Served> {
  const began = performance.now();
  const ids: number[] = [];
  let [firstMs, worstMs, last] = [0, 0, began];
  const prompt = [1 + seed % 50, 2];
  using session = model.createSession({ seed });
  await session.prefill(prompt, { logits: "none" });
  while (ids.length < tokens) {
    // A model may end its text before the client has enough: it goes on from there.
    for await (const { id } of session.generate({ maxTokens: tokens - ids.length })) {
      const now = performance.now();
      if (ids.length === 0) firstMs = now - began;
      else worstMs = Math.max(worstMs, now - last);
      last = now;
      ids.push(id);
    }
  }
  return { ids, firstMs, worstMs };
}

/** @throws {Error} If a client gets other tokens in company than alone. */
async function check(model: Model, clients: number): Promise<void> {
  const tokens = 24;
  const together = await serveAll(model, clients, tokens);
  for (const seed of new Set([0, 1, clients - 1]).values().filter((seed) => seed < clients)) {
    const alone = await serveOne(model, seed, tokens);
    if (alone.ids.join() !== together[seed]?.ids.join()) {
      throw new Error(
        `Cannot time ${clients} clients: number ${seed} draws ${together[seed]?.ids}, ` +
          `and alone ${alone.ids}`,
      );
    }
  }
}

/** The longest time between two runs of a timer. */
class WorstGap {
  #last = performance.now();
  #worst = 0;
  readonly #timer = setInterval(() => this.#look(), TIMER_MS);

  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#worst;
  }

  #look(): void {
    const now = performance.now();
    this.#worst = Math.max(this.#worst, now - this.#last);
    this.#last = now;
  }
}
