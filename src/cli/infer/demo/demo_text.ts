/** The demonstration's second half: a language model writes. */

import type { Model } from "../../../engine/model.ts";
import { compilingLine } from "../compiling_line.ts";
import { formatBytes, formatRate } from "../../terminal/format.ts";
import { GenerationClock } from "../generation_clock.ts";
import type { Terminal } from "../../terminal/terminal.ts";

/** A blank line: behind one, somebody begins to speak. */
const PROMPT = "\n\n";

/** Below 1, so that fewer words are invented. */
const TEMPERATURE = 0.8;

/** Where nobody watches, a sample is enough. */
const TOKENS = { terminal: 800, plain: 300 };

/** After that many tokens the text ends with the next line; this many more are waited for it. */
const LAST_LINE_TOKENS = 80;

/**
 * Streams text, then its figures.
 *
 * @throws {unknown} The signal's reason, if it is aborted.
 */
export async function streamText(
  model: Model,
  seed: number,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const prompt = model.tokenizer?.encode(PROMPT) ?? [];
  using session = model.createSession({ temperature: TEMPERATURE, seed });
  using compiling = compilingLine(model, terminal);
  const clock = new GenerationClock();
  await session.prefill(prompt, { logits: "last" });
  clock.prefilled(prompt.length);
  const tokens = terminal.screen() === undefined ? TOKENS.plain : TOKENS.terminal;
  let count = 0, end = "";
  for await (const { text } of session.generate({ maxTokens: tokens + LAST_LINE_TOKENS, signal })) {
    clock.generated();
    compiling[Symbol.dispose]();
    terminal.write(text);
    end = text || end;
    if (++count >= tokens && end.endsWith("\n")) break;
  }
  const { decodeTokensPerSecond } = clock.statistics();
  const rate = decodeTokensPerSecond === undefined
    ? ""
    : ` at ${formatRate(decodeTokensPerSecond, 1000)}/s`;
  terminal.write(
    `${end.endsWith("\n") ? "" : "\n"}\n` +
      `${count} tokens${rate}, ${formatBytes(model.stateBytes)} of state after each\n`,
  );
}
