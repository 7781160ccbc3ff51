/** `infer.ts score -`: a text that is scored as it comes, and may have no end. */

import type { LoadOptions } from "../../../engine/load_model.ts";
import { scorePieces, tokenScores } from "../../../engine/score.ts";
import { followFile } from "../../../io/streams/follow_file.ts";
import { untilAborted } from "../../../io/streams/until_aborted.ts";
import { type Arguments, UsageError } from "../../terminal/arguments.ts";
import { formatCount, formatDuration, formatRate } from "../../terminal/format.ts";
import { catchInterrupt } from "../../terminal/interrupt.ts";
import { Progress } from "../../terminal/progress.ts";
import type { Terminal } from "../../terminal/terminal.ts";
import { compilingLine } from "../compiling_line.ts";
import { loadForCommand } from "../load_model.ts";
import { requireTokens } from "../require_tokens.ts";
import { openStateFile } from "../state_file.ts";
import { encodeAsItComes } from "../text_stream.ts";
import { SurpriseAlarm } from "./running_score.ts";
import { createScoreOutput, ScoreSums } from "./score_output.ts";
import { ScoreStreamOutput } from "./stream_output.ts";

/** What is scored. */
export interface ScoredStream {
  /** The model. */
  readonly source: string;
  /** The file to follow; stdin if there is none. */
  readonly follow: string | undefined;
  /** Whether each token's line is of a stream, not of a whole text. */
  readonly isLines: boolean;
}

/**
 * Scores stdin, or a file that is written to, piece by piece.
 *
 * @returns The exit code.
 */
export async function scoreStream(
  { source, follow, isLines }: ScoredStream,
  args: Arguments,
  terminal: Terminal,
  settings: LoadOptions,
): Promise<number> {
  const window = args.integer("window", { min: 1 });
  const bar = args.number("alarm"), alarmWindow = args.integer("alarm-window", { min: 1 });
  const halfLife = args.number("half-life", { above: 0 }) ?? 1000;
  if (alarmWindow !== undefined && bar === undefined) {
    throw new UsageError("Cannot use --alarm-window: it belongs to --alarm");
  }
  const states = await openStateFile(args, terminal);
  if (window !== undefined && states.loaded !== undefined) {
    throw new UsageError("Cannot use --window and --load-state together: give one");
  }
  using model = await loadForCommand(source, settings, terminal);
  requireTokens(model, "score");
  // Nothing goes back: what it would keep for that would be copied at every collection.
  using session = model.createSession({ rewind: 0 });
  states.begin(session);
  using interruption = catchInterrupt();
  const { signal } = interruption;
  const name = follow ?? "stdin";
  const note = (why: string) => terminal.writeError(`Note: "${name}" was ${why}: from its start\n`);
  const bytes = follow === undefined
    ? terminal.stdin()
    : followFile(follow, { signal, onRestart: note });

  const { position } = session;
  const isShort = args.has("summary"), isJson = args.has("json");
  const sums = new ScoreSums("", model);
  const alarm = bar === undefined ? undefined : new SurpriseAlarm(bar, alarmWindow ?? 32);
  const write = (text: string) => terminal.write(text);
  const isStream = isLines || follow !== undefined || alarm !== undefined;
  const output = isStream
    ? new ScoreStreamOutput({ isShort, isJson, halfLife, alarm, position }, model, write)
    : createScoreOutput({ isShort, isJson, nested: false }, model, write);
  const start = performance.now();
  let count = 0, isEmpty = true;
  await states.keep(session, async () => {
    // Where the scores themselves come on a screen, no line is written between them.
    using progress = isShort || terminal.screen() === undefined
      ? new Progress(terminal, { label: "Scoring", unit: "tokens" })
      : undefined;
    using compiling = compilingLine(model, terminal);
    const text = {
      bytes: untilAborted(bytes, signal),
      name,
      what: "text",
      continues: position > 0,
    };
    const ids = async function* () {
      for await (const part of encodeAsItComes(text, model, terminal)) {
        sums.extend(part.text);
        isEmpty &&= part.text === "";
        if (part.ids.length > 0) yield part.ids;
      }
    };
    for await (const scored of scorePieces(session, ids(), { window })) {
      compiling[Symbol.dispose]();
      const { ids: { length } } = scored;
      sums.addAll(scored);
      if (!isShort || alarm !== undefined) {
        for (const score of tokenScores(scored)) output.add(score);
      }
      output.flush();
      count += length;
      progress?.update(count);
      await states.count(length, session);
      if (signal.aborted) break;
    }
    if (count === 0 && position === 0 && !signal.aborted) {
      if (isEmpty) throw new SyntaxError(`Cannot read "${name}": it is empty, expected text`);
      throw new RangeError("Cannot score: the tokenizer makes no tokens of the text");
    }
    output.endSequence();
  });
  const elapsedMs = performance.now() - start;
  terminal.writeError(
    `${formatCount(count)} tokens in ${formatDuration(elapsedMs)}, ` +
      `${formatRate(count, elapsedMs)} tokens/s\n`,
  );
  output.end(sums.summary());
  return interruption.code;
}
