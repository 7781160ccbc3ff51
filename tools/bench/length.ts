/**
 * `bench length`: what a token costs after more and more of them.
 *
 * --model      a checkpoint (default weights/shakespeare)
 * --backend    webgpu or cpu (default: the one that loadModel chooses)
 * --threads    on the CPU (default 1)
 * --tokens     the longest stream (default 16384)
 * --every      tokens between two streams (default 2048)
 * --rounds     how often each is timed, in turn with the others (default 100): what counts is its fastest
 */

import { parseArgs } from "@std/cli/parse-args";
import { loadModel, type LoadOptions, type Session } from "../../mod.ts";
import { parameterCount } from "../../src/model/weights/weight_specs.ts";
import { type Result, round } from "./result.ts";

/** Tokens that are timed together. */
const PIECE = 16;

/** Runs the benchmark. */
export async function* length(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["model", "backend", "threads", "tokens", "every", "rounds"],
    default: {
      ...{ model: "weights/shakespeare", threads: "1" },
      ...{ tokens: "16384", every: "2048", rounds: "100" },
    },
  });
  const { backend } = options as Pick<LoadOptions, "backend">;
  using model = await loadModel(options.model, {
    ...(backend && { backend }),
    threads: Number(options.threads),
  });
  using stream = model.createSession({ seed: 1 });
  const streams: { readonly position: number; readonly session: Session; fastestMs: number }[] = [];
  await stream.prefill([0], { logits: "none" });
  for (;;) {
    streams.push({ position: stream.position, session: stream.fork(), fastestMs: Infinity });
    if (stream.position + Number(options.every) > Number(options.tokens) + 1) break;
    await draw(stream, Number(options.every));
  }
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const each of streams) {
      using session = each.session.fork();
      const start = performance.now();
      await draw(session, PIECE);
      each.fastestMs = Math.min(each.fastestMs, (performance.now() - start) / PIECE);
    }
  }
  const { d_model, n_layer } = model.config;
  const parameters = parameterCount(model.config);
  for (const { position, session, fastestMs } of streams) {
    session[Symbol.dispose]();
    yield {
      ...{ bench: "length", device: model.device, backend: model.backend, model: options.model },
      ...{ d_model, n_layer, parameters, position },
      microsecondsPerToken: round(fastestMs * 1000, 1),
    };
  }
}

/** Draws so many tokens; a model may end its text, and goes on from there. */
async function draw(session: Session, count: number): Promise<void> {
  const end = session.position + count;
  while (session.position < end) {
    for await (const _ of session.generate({ maxTokens: end - session.position }));
  }
}
