/**
 * `bench shipped`: the models in weights, through mod.ts, as a program uses them.
 *
 * --backend    webgpu, cpu or auto (default auto)
 * --threads    on the CPU (default: as many as help)
 * --step       list, fused or auto: how single steps run on a GPU (default auto)
 * --tokens     of weights/shakespeare that are timed (default 4096)
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Backend, imageToInput, loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { decodePng } from "../../src/io/images/png.ts";
import { type Result, round } from "./result.ts";

/** Tokens before the clock starts: kernels are compiled, and threads are chosen. */
const WARM_UP = 512;

/** How often an image goes through, after once to warm up. */
const IMAGES = 8;

/** Runs the benchmark. */
export async function* shipped(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["backend", "threads", "step", "tokens"],
    default: { backend: "auto", step: "auto", tokens: "4096" },
  });
  const threads = options.threads === undefined ? {} : { threads: Number(options.threads) };
  const step = options.step as LoadOptions["step"];
  const settings = { backend: options.backend as Backend | "auto", step, ...threads };
  yield await text(settings, Number(options.tokens));
  yield* digit(settings);
}

async function text(settings: LoadOptions, tokens: number): Promise<Result> {
  using model = await loadModel(weights("shakespeare"), settings);
  const first = await idsOf(model, 64);
  if (first.join() !== (await idsOf(model, 64)).join()) {
    throw new Error("Cannot time weights/shakespeare: two runs of one seed differ");
  }
  let start = 0;
  let count = 0;
  for await (const _ of model.generate("ROMEO:", { seed: 1, maxTokens: WARM_UP + tokens })) {
    count += 1;
    if (count === WARM_UP) start = performance.now();
  }
  const seconds = (performance.now() - start) / 1000;
  return {
    ...{ bench: "shipped", device: model.device, backend: model.backend },
    ...{ model: "weights/shakespeare", tokensPerSecond: round(tokens / seconds, 0) },
    note: model.deviceNote,
  };
}

async function idsOf(model: Model, maxTokens: number): Promise<number[]> {
  return await Array.fromAsync(model.generate("ROMEO:", { seed: 1, maxTokens }), ({ id }) => id);
}

async function* digit(settings: LoadOptions): AsyncGenerator<Result> {
  using model = await loadModel(weights("mnist"), settings);
  const input = await digitSeven(model);
  const { label } = await model.classify(input);
  if (label !== "7") throw new Error(`Cannot time weights/mnist: it calls a 7 a ${label}`);
  const common = {
    ...{ bench: "shipped", device: model.device, backend: model.backend },
    ...{ model: "weights/mnist", pixels: input.length },
  };

  const stream = async () => {
    let last = "";
    for await (const each of model.classifyStream(input)) last = each.label;
    if (last !== "7") throw new Error(`Cannot time weights/mnist: pixel by pixel it says ${last}`);
  };
  const streamed = await medianTime(stream);
  yield {
    ...common,
    what: "pixel by pixel",
    milliseconds: round(streamed, 2),
    pixelsPerSecond: round(input.length / streamed * 1000, 0),
  };
  const whole = await medianTime(async () => {
    await model.classify(input);
  });
  yield { ...common, what: "whole", milliseconds: round(whole, 2) };
}

async function digitSeven(model: Model): Promise<Float32Array> {
  const layout = model.config.preprocessing;
  if (layout?.kind !== "image") throw new TypeError("Cannot time weights/mnist: it takes no image");
  const bytes = await Deno.readFile(new URL("digits/7.png", weights("mnist")));
  const { width, height, channels, pixels } = await decodePng(bytes, "7.png", layout);
  return imageToInput(pixels, width, height, channels, layout);
}

/** Milliseconds. */
async function medianTime(run: () => Promise<void>): Promise<number> {
  await run();
  const times: number[] = [];
  for (let i = 0; i < IMAGES; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b)[IMAGES >> 1] ?? NaN;
}

function weights(name: string): URL {
  return new URL(`../../weights/${name}/`, import.meta.url);
}
