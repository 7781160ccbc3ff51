/** Where `infer.ts generate` begins: text or token ids. */

import type { Model } from "../../engine/model.ts";
import type { Session } from "../../engine/session.ts";
import { decodeText } from "../../io/datasets/text.ts";
import { type Arguments, UsageError } from "../terminal/arguments.ts";
import { compilingLine } from "./compiling_line.ts";
import { encodeText } from "./encode_text.ts";
import { checkIdRange, readIds } from "./id_file.ts";
import { imageStart, pixelLayout } from "./pixel_image.ts";
import { Progress } from "../terminal/progress.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** A prompt as it was read, before the model is known. */
export type Prompt =
  | { readonly text: string }
  | { readonly ids: readonly number[]; readonly name: string };

/** Reads `--prompt`, `--ids` or stdin. */
export async function readPrompt(args: Arguments, terminal: Terminal): Promise<Prompt> {
  const text = args.text("prompt"), path = args.text("ids");
  if (text !== undefined && path !== undefined) {
    throw new UsageError("Cannot use --prompt and --ids together: the prompt is one of them");
  }
  if (path !== undefined) {
    const { sequences } = await readIds(path);
    const [ids = []] = sequences;
    if (sequences.length > 1) {
      throw new RangeError(
        `Cannot generate from "${path}": it holds ${sequences.length} sequences, expected one`,
      );
    }
    return { ids, name: path };
  }
  if (text !== undefined && text !== "-") return { text };
  // A loaded state needs no prompt, and an inherited stdin may never end: there only "-" reads it.
  const readsStdin = text === "-" || (!terminal.stdinIsTerminal && !args.text("load-state"));
  const bytes = readsStdin ? await terminal.readStdin() : new Uint8Array();
  return { text: bytes.length === 0 ? "" : decodeText(bytes, "stdin") };
}

/**
 * The prompt's token ids. None for the empty text, unless that begins an image of a model that knows no classes.
 *
 * @param continues Whether a loaded state comes before the prompt.
 */
export function promptIds(
  prompt: Prompt,
  model: Model,
  terminal: Terminal,
  continues: boolean,
): readonly number[] {
  const { head, input } = model.config;
  if (head.kind !== "lm" || input.kind !== "embedding") {
    throw new TypeError(
      `Cannot generate with this model: its head is "${head.kind}", expected "lm". ` +
        `Use the command classify`,
    );
  }
  if ("ids" in prompt) {
    checkIdRange(prompt.ids, input.vocab_size, prompt.name);
    return prompt.ids;
  }
  if (prompt.text === "" && continues) return [];
  if (pixelLayout(model.config) !== undefined) {
    return [imageStart(prompt.text.trim(), model.config)];
  }
  if (prompt.text === "") return [];
  return [...encodeText(prompt.text, "prompt", model, terminal)];
}

/**
 * Feeds a prompt, and says how far it is where that takes its time. Ends when the device is done with it.
 *
 * @param now A clock in milliseconds.
 */
export async function feedPrompt(
  model: Pick<Model, "backend">,
  session: Pick<Session, "prefill">,
  ids: readonly number[],
  terminal: Terminal,
  now: () => number = () => performance.now(),
): Promise<void> {
  using progress = new Progress(terminal, {
    label: "Reading the prompt",
    total: ids.length,
    unit: "tokens",
    now,
  });
  using compiling = compilingLine(model, terminal);
  // A piece that compiled says nothing of those to come: there the rate is that of the pieces after it.
  if (model.backend === "cpu") progress.update(0);
  await session.prefill(ids, {
    logits: "none",
    onProgress: (done) => {
      compiling[Symbol.dispose]();
      // The end needs no line: what comes next shows it.
      if (done < ids.length) progress.update(done);
    },
  });
}
