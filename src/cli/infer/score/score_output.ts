/** What `infer.ts score` prints: a line or an object a token, and the sums over all. */

import type { Model } from "../../../engine/model.ts";
import type { TokenScore } from "../../../engine/score.ts";

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

/**
 * UTF-8 bytes of what was scored: those of the text but for the first token's, which nothing foresaw, and for what the
 * tokenizer left out. 0 where tokens say other things than the text, as an unknown token does: then no figure is right.
 */
function scoredBytes(text: string, [first]: readonly TokenScore[][], { tokenizer }: Model): number {
  if (tokenizer === undefined || first === undefined) return 0;
  const count = (part: string) => new TextEncoder().encode(part).length;
  const ids = first.map(({ id }) => id);
  const kept = tokenizer.decode(ids, { skipSpecialTokens: true });
  if (!isPartOf(kept, text) && !isPartOf(kept, text.normalize("NFC"))) return 0;
  const unscored = tokenizer.stream({ skipSpecialTokens: true }).push(ids[0] ?? 0);
  return Math.max(count(kept) - count(unscored), 0);
}

/** Whether a text is what is left of another when some characters are taken out. */
function isPartOf(part: string, text: string): boolean {
  let at = 0;
  for (const character of text) if (part.startsWith(character, at)) at += character.length;
  return at === part.length;
}

/** The text of each token of a sequence: all of them together are the text of all. */
function textsOf(scores: readonly TokenScore[], { tokenizer }: Model): readonly string[] {
  const stream = tokenizer?.stream();
  if (stream === undefined) return [];
  const texts = scores.map(({ id }) => stream.push(id));
  const last = texts.pop();
  return last === undefined ? [] : [...texts, last + stream.flush()];
}

/** One object; `nested` gives each sequence one of its own. */
export function scoresToJson(
  scored: readonly TokenScore[][],
  nested: boolean,
  summary: Summary,
  model: Model,
): unknown {
  const sequences = scored.map((scores) => {
    const texts = textsOf(scores, model);
    return scores.map(({ id, logprob, rank, entropy }, i) => ({
      id,
      ...(model.tokenizer === undefined ? {} : { text: texts[i] }),
      logprob,
      rank,
      entropy,
    }));
  });
  return nested
    ? { sequences: sequences.map((scores) => ({ scores })), ...summary }
    : { scores: sequences[0] ?? [], ...summary };
}

/** A line a token, and an empty line after each sequence. */
export function scoresToLines(
  scored: readonly TokenScore[][],
  model: Model,
): string {
  const lines = scored.map((scores) => {
    const texts = textsOf(scores, model);
    return scores.map(({ id, logprob, rank }, i) =>
      [
        id,
        Number.isNaN(logprob) ? "-" : logprob.toFixed(4),
        Number.isNaN(rank) ? "-" : rank,
        texts[i] === undefined ? "" : JSON.stringify(texts[i]),
      ]
        .join("\t").trimEnd() + "\n"
    ).join("");
  });
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
