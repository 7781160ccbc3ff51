/** `infer.ts generate --branches N`: several continuations of one prompt, made at the same time. */

import type { GenerateOptions } from "../../engine/generate.ts";
import type { Model } from "../../engine/model.ts";
import type { Session } from "../../engine/session.ts";
import type { Arguments } from "../terminal/arguments.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { createOutput, InTurn } from "./generate_output.ts";
import type { GenerationClock } from "./generation_clock.ts";
import { PixelImage, pixelLayout } from "./pixel_image.ts";

/** What is continued, and how. */
export interface Branching {
  readonly count: number;
  /** Of the first; each other has the next whole number. */
  readonly seed: number;
  readonly options: GenerateOptions;
  readonly clock: GenerationClock;
  /** Inputs of an image's beginning, where the model makes images: its place, and ids of the prompt. */
  readonly image: { readonly position: number; readonly ids: readonly number[] };
}

/** Continues a session that has consumed a prompt, and copies of it. */
export async function generateBranches(
  model: Model,
  session: Session,
  { count, seed, options, clock, image }: Branching,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  const layout = pixelLayout(model.config);
  const isMixed = args.has("json") || args.has("print-ids");
  const seeds = Array.from({ length: count }, (_, branch) => seed + branch);
  const heads = seeds.map((each, branch) => isMixed ? "" : `[${branch + 1}] seed ${each}\n`);
  const inTurn = new InTurn(heads, (text) => terminal.write(text));
  const sessions = seeds.map((_, branch) => branch === 0 ? session : session.fork());
  try {
    await Promise.all(sessions.map(async (each, branch) => {
      // Lines of JSON say whose they are, and need not wait.
      const isLines = args.has("json") && !args.has("print-ids");
      const write = isLines
        ? (text: string) => terminal.write(text)
        : (text: string) => inTurn.write(branch, text);
      const output = createOutput(args, model, write, branch);
      const drawn = layout && new PixelImage(layout, { ...image, colors: terminal.colors });
      if (drawn !== undefined) output.lines(drawn.feed(image.ids));
      let tokens = 0;
      for await (const token of each.generate({ ...options, seed: seeds[branch] })) {
        clock.generated();
        tokens++;
        output.token(token);
        if (drawn !== undefined) output.lines(drawn.feed([token.id]));
      }
      output.end({ seed: seeds[branch], tokens });
      inTurn.end(branch);
    }));
  } finally {
    for (const each of sessions.slice(1)) each[Symbol.dispose]();
  }
}
