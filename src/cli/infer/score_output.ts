/** What `infer.ts score` prints: a line or an object a token, and the sums over all. */

import type { Model } from "../../engine/model.ts";
import type { TokenScore } from "../../engine/score.ts";

/** Sums over all tokens. */
export interface Summary {
  /** Tokens that have a score. */
  readonly scored: number;
  readonly natsPerToken: number | null;
  readonly perplexity: number | null;
  readonly bitsPerByte?: number;
}

/**
 * Sums scores up.
 *
 * @param scored The scores of each sequence.
 * @param text What was encoded, if anything was: bits a byte are those of its UTF-8.
 */
export function summarize(
  scored: readonly TokenScore[][],
  text: string | undefined,
  model: Model,
): Summary {
  const bytes = text === undefined ? 0 : scoredBytes(text, scored, model);
  // The first token of each sequence, which nothing precedes.
  const all = scored.flat().filter(({ logprob }) => !Number.isNaN(logprob));
  const nats = all.reduce((sum, { logprob }) => sum - logprob, 0);
  const mean = all.length > 0 ? nats / all.length : null;
  return {
    scored: all.length,
    natsPerToken: mean,
    perplexity: mean === null ? null : Math.exp(mean),
    ...(bytes > 0 ? { bitsPerByte: nats / Math.LN2 / bytes } : {}),
  };
}

/** UTF-8 bytes of what was scored: all but the first token. */
function scoredBytes(text: string, [first]: readonly TokenScore[][], { tokenizer }: Model): number {
  const count = (part: string) => new TextEncoder().encode(part).length;
  const unscored = first?.[0] === undefined ? "" : tokenizer?.decode([first[0].id]) ?? "";
  return Math.max(count(text) - count(unscored), 0);
}

/** One object; `nested` gives each sequence one of its own. */
export function scoresToJson(
  scored: readonly TokenScore[][],
  nested: boolean,
  summary: Summary,
  { tokenizer }: Model,
): unknown {
  const sequences = scored.map((scores) =>
    scores.map(({ id, logprob, rank, entropy }) => ({
      id,
      ...(tokenizer === undefined ? {} : { text: tokenizer.decode([id]) }),
      logprob,
      rank,
      entropy,
    }))
  );
  return nested
    ? { sequences: sequences.map((scores) => ({ scores })), ...summary }
    : { scores: sequences[0] ?? [], ...summary };
}

/** A line a token, and an empty line after each sequence. */
export function scoresToLines(
  scored: readonly TokenScore[][],
  { tokenizer }: Model,
): string {
  const lines = scored.map((scores) =>
    scores.map(({ id, logprob, rank }) =>
      [
        id,
        Number.isNaN(logprob) ? "-" : logprob.toFixed(4),
        Number.isNaN(rank) ? "-" : rank,
        tokenizer ? JSON.stringify(tokenizer.decode([id])) : "",
      ]
        .join("\t").trimEnd() + "\n"
    ).join("")
  );
  return `${lines.join("\n")}\n`;
}

/** The sums, a line each. */
export function summaryToLines(
  { scored: count, natsPerToken, perplexity, bitsPerByte }: Summary,
): string {
  const sums = natsPerToken === null ? [`scored tokens ${count}`] : [
    `scored tokens ${count}`,
    `nats per token ${natsPerToken.toFixed(4)}`,
    `perplexity ${perplexity?.toFixed(4)}`,
    ...(bitsPerByte === undefined ? [] : [`bits per byte ${bitsPerByte.toFixed(4)}`]),
  ];
  return `${sums.join("\n")}\n`;
}
