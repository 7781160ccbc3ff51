/** Where `infer.ts generate` begins: text or token ids. */

import type { Model } from "../../engine/model.ts";
import type { Session } from "../../engine/session.ts";
import { textOf } from "../../io/streams/text_stream.ts";
import { type Arguments, UsageError } from "../terminal/arguments.ts";
import { compilingLine } from "./compiling_line.ts";
import { encodeText } from "./encode_text.ts";
import { checkIdRange, readIds } from "./id_file.ts";
import { imageStart, pixelLayout } from "./pixel_image.ts";
import { Progress } from "../terminal/progress.ts";
import { requireTokens } from "./require_tokens.ts";
import { encodeAsItComes } from "./text_stream.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** A prompt as it was read, before the model is known. */
export type Prompt =
  | { readonly text: string }
  | { readonly ids: readonly number[]; readonly name: string }
  | { readonly stdin: AsyncIterable<Uint8Array> };

/** Reads `--prompt` or `--ids`; stdin is read when it is fed. */
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
  return readsStdin ? { stdin: terminal.stdin() } : { text: "" };
}

/**
 * The prompt's token ids. None for the empty text, unless that begins an image of a model that knows no classes.
 *
 * @param continues Whether a loaded state comes before the prompt.
 */
export function promptIds(
  prompt: Exclude<Prompt, { readonly stdin: unknown }>,
  model: Model,
  terminal: Terminal,
  continues: boolean,
): readonly number[] {
  const { vocab_size } = requireTokens(model, "generate");
  if ("ids" in prompt) {
    checkIdRange(prompt.ids, vocab_size, prompt.name);
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
 * Feeds any prompt to a session.
 *
 * @returns The ids of the prompt; of one that came by stdin, which may be long, how many there were.
 * @throws {UsageError} If the prompt is empty, and there is nothing before it.
 */
export async function beginWith(
  prompt: Prompt,
  model: Model,
  session: Session,
  terminal: Terminal,
): Promise<{ readonly ids: readonly number[]; readonly count: number }> {
  requireTokens(model, "generate");
  const continues = session.position > 0;
  if ("stdin" in prompt && pixelLayout(model.config) === undefined) {
    const count = await feedStream(model, session, prompt.stdin, terminal);
    if (count === 0 && !continues) throw emptyPrompt();
    return { ids: [], count };
  }
  const whole = "stdin" in prompt ? { text: await wholeText(prompt.stdin) } : prompt;
  const ids = promptIds(whole, model, terminal, continues);
  if (ids.length === 0 && !continues) throw emptyPrompt();
  if (ids.length > 0) await feedPrompt(model, session, ids, terminal);
  return { ids, count: ids.length };
}

function emptyPrompt(): UsageError {
  return new UsageError("Cannot generate: the prompt is empty. Give --prompt, --ids or stdin");
}

async function wholeText(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  return (await Array.fromAsync(textOf(stdin, "stdin"))).join("");
}

/** Feeds a text as it comes, and gives how many tokens it had. */
async function feedStream(
  model: Model,
  session: Session,
  bytes: AsyncIterable<Uint8Array>,
  terminal: Terminal,
): Promise<number> {
  using progress = new Progress(terminal, { label: "Reading the prompt", unit: "tokens" });
  using compiling = compilingLine(model, terminal);
  const text = { bytes, name: "stdin", what: "prompt", continues: session.position > 0 };
  let count = 0;
  for await (const { ids } of encodeAsItComes(text, model, terminal)) {
    if (ids.length === 0) continue;
    await session.prefill(ids, { logits: "none" });
    compiling[Symbol.dispose]();
    count += ids.length;
    progress.update(count);
  }
  return count;
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
