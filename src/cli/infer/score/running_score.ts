/** How a stream is foreseen lately: its perplexity, and whether it surprises. */

/** Perplexity in which a token counts half of what one counts that came a number of tokens later. */
export class RunningPerplexity {
  readonly #decay: number;
  #nats = 0;
  #weight = 0;

  /** `halfLife` in tokens. */
  constructor(halfLife: number) {
    this.#decay = 2 ** (-1 / halfLife);
  }

  /** Takes the next token's log-probability, and gives the perplexity up to it. */
  add(logprob: number): number {
    this.#nats = this.#nats * this.#decay - logprob;
    this.#weight = this.#weight * this.#decay + 1;
    return Math.exp(this.#nats / this.#weight);
  }
}

/** A token, as an alarm takes it. */
export interface Surprise {
  /** In bits. */
  readonly bits: number;
  /** The token's text. */
  readonly text: string;
}

/** A beginning or an end. */
export interface AlarmEvent {
  /** Which of the two. */
  readonly alarm: "start" | "end";
  /** Mean of the window, in bits a token. */
  readonly bits: number;
  /** The window's text. */
  readonly text: string;
}

/**
 * Watches the mean surprisal of a stream's latest tokens: the alarm is on while it is at the bar or above, once a window
 * is full.
 */
export class SurpriseAlarm {
  readonly #bar: number;
  readonly #window: number;
  readonly #latest: Surprise[] = [];
  #isOn = false;

  /** `bar` in bits a token, `window` in tokens. */
  constructor(bar: number, window: number) {
    this.#bar = bar;
    this.#window = window;
  }

  /** Takes the next token; gives an event where the alarm starts or ends with it. */
  add(surprise: Surprise): AlarmEvent | undefined {
    this.#latest.push(surprise);
    if (this.#latest.length > this.#window) this.#latest.shift();
    if (this.#latest.length < this.#window) return undefined;
    // Added anew each time: a running sum of an endless stream drifts.
    const bits = this.#latest.reduce((sum, { bits }) => sum + bits, 0) / this.#window;
    if ((bits >= this.#bar) === this.#isOn) return undefined;
    this.#isOn = !this.#isOn;
    const text = this.#latest.map(({ text }) => text).join("");
    return { alarm: this.#isOn ? "start" : "end", bits, text };
  }
}
