/** How fast a generation was: prefill, the first token and the others apart, for they are different work. */

import type { Model } from "../../engine/model.ts";
import { formatDuration, formatRate } from "../terminal/format.ts";

/** Figures of one generation; undefined where there was nothing to measure. */
export interface GenerationStatistics {
  /** Tokens fed before the first draw. */
  readonly promptTokens: number;
  /** Tokens drawn. */
  readonly tokens: number;
  /** Of the prompt; WebGPU compiles its first kernels in this time. */
  readonly prefillTokensPerSecond: number | undefined;
  /** Of the tokens after the first. */
  readonly decodeTokensPerSecond: number | undefined;
  /** From the start of the prefill. */
  readonly timeToFirstTokenMs: number | undefined;
}

/** Started right before the prefill. */
export class GenerationClock {
  #promptTokens = 0;
  readonly #start = performance.now();
  #prefilledAt = this.#start;
  #firstAt = this.#start;
  #lastAt = this.#start;
  #tokens = 0;

  /** Call when the prompt was fed, of so many tokens. */
  prefilled(promptTokens: number): void {
    this.#promptTokens = promptTokens;
    this.#prefilledAt = performance.now();
  }

  /** Call at every token. */
  generated(): void {
    this.#lastAt = performance.now();
    if (this.#tokens++ === 0) this.#firstAt = this.#lastAt;
  }

  /** The figures so far. */
  statistics(): GenerationStatistics {
    const perSecond = (count: number, ms: number) =>
      count > 0 && ms > 0 ? count / ms * 1000 : undefined;
    return {
      promptTokens: this.#promptTokens,
      tokens: this.#tokens,
      prefillTokensPerSecond: perSecond(this.#promptTokens, this.#prefilledAt - this.#start),
      decodeTokensPerSecond: perSecond(this.#tokens - 1, this.#lastAt - this.#firstAt),
      timeToFirstTokenMs: this.#tokens > 0 ? this.#firstAt - this.#start : undefined,
    };
  }
}

/** The figures in one line. */
export function describeStatistics(
  statistics: GenerationStatistics,
  { backend }: Pick<Model, "backend">,
): string {
  const { promptTokens, tokens, prefillTokensPerSecond, decodeTokensPerSecond } = statistics;
  const parts: string[] = [];
  if (prefillTokensPerSecond !== undefined) {
    const rate = formatRate(prefillTokensPerSecond, 1000);
    const beside = backend === "webgpu" ? " with compiling the kernels" : "";
    parts.push(`prefill ${promptTokens} tokens, ${rate} tokens/s${beside}`);
  }
  if (statistics.timeToFirstTokenMs !== undefined) {
    parts.push(`first token after ${formatDuration(statistics.timeToFirstTokenMs)}`);
  }
  parts.push(
    decodeTokensPerSecond === undefined
      ? `${tokens} tokens`
      : `${tokens} tokens, ${formatRate(decodeTokensPerSecond, 1000)} tokens/s`,
  );
  return parts.join(" | ");
}
