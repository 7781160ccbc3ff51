/// <reference lib="dom" />
/** A column of text: one stream through the language model, that can be stopped, continued, forked and saved. */

import type { Drawing, OpenStream, Written } from "../calls.ts";
import { type EngineClient, isAbort } from "../engine_client.ts";
import { create, createButton } from "../find.ts";
import { formatBytes, formatCount } from "../format.ts";
import { saveFile } from "../save_file.ts";

/** What a column asks of the section it stands in. */
export interface ColumnHost {
  readonly engine: EngineClient;
  /** How tokens are drawn, as the form says now; the seed is the column's own. */
  readonly drawing: () => Omit<Drawing, "seed">;
  /** Opens a column beside this one. */
  readonly onFork: (column: TextColumn) => void;
  readonly onClose: (column: TextColumn) => void;
}

/** One stream and its text. */
export class TextColumn {
  /** What stands on the page. */
  readonly element = create("article", { className: "column" });
  readonly #host: ColumnHost;
  readonly #output = create("div", { className: "text" });
  readonly #facts = create("p", { className: "facts" });
  readonly #seed = create("input");
  readonly #go = createButton("Continue", () => this.#toggle());
  #stream: OpenStream;
  #controller: AbortController | undefined;
  #tokens: number;

  /** @param before Text that led to the stream's state, as far as it is known. */
  constructor(host: ColumnHost, stream: OpenStream, before: string) {
    this.#host = host;
    this.#stream = stream;
    this.#tokens = stream.tokens;
    const seed = create("label", { text: "Seed " });
    this.#seed.type = "number";
    this.#seed.min = "0";
    this.#seed.value = String(stream.seed);
    seed.append(this.#seed);
    this.#output.tabIndex = 0;
    this.#output.setAttribute("role", "log");
    this.#output.setAttribute("aria-live", "off");
    this.#output.setAttribute("aria-label", "Text of this column");
    this.#output.append(create("span", { className: "before", text: before }));
    const buttons = create("div", { className: "buttons" });
    buttons.append(
      this.#go,
      createButton("Fork", () => host.onFork(this)),
      createButton("Save state", () => void this.#save()),
      createButton("Close", () => host.onClose(this)),
    );
    this.element.append(seed, this.#output, this.#facts, buttons);
    this.#describe();
  }

  /** The stream's number. */
  get stream(): number {
    return this.#stream.stream;
  }

  /** All of the text. */
  get text(): string {
    return this.#output.textContent ?? "";
  }

  /** Seed of the column. */
  set seed(seed: number) {
    this.#seed.value = String(seed);
  }

  get seed(): number {
    return Number(this.#seed.value);
  }

  /** Writes on, until the form's number of tokens or a stop. */
  async write(): Promise<void> {
    if (this.#controller !== undefined) return;
    const controller = this.#controller = new AbortController();
    this.#go.textContent = "Stop";
    const before = this.#tokens;
    const take = ({ text, tokens, elapsedMs }: Written) => {
      this.#output.append(text);
      this.#output.scrollTop = this.#output.scrollHeight;
      this.#tokens = before + tokens;
      this.#describe(tokens / elapsedMs * 1000);
    };
    try {
      const drawing = { ...this.#host.drawing(), seed: this.seed };
      take(
        await this.#host.engine.call("write", { stream: this.stream, drawing }, {
          signal: controller.signal,
          onEvent: take,
        }),
      );
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    } finally {
      this.#controller = undefined;
      this.#go.textContent = "Continue";
    }
  }

  /** Stops, and waits until the stream stands still. */
  async stop(): Promise<void> {
    this.#controller?.abort();
    while (this.#controller !== undefined) await new Promise((done) => setTimeout(done, 5));
  }

  /** The state as the bytes of a file. */
  async state(): Promise<Uint8Array<ArrayBuffer>> {
    await this.stop();
    return await this.#host.engine.call("saveState", { stream: this.stream });
  }

  /** Goes on with the same state in another stream: of the same model on another executor. */
  moveTo(stream: OpenStream): void {
    this.#stream = stream;
  }

  /** Says what went wrong, in the column. */
  fail(error: unknown): void {
    this.#facts.textContent = error instanceof Error ? error.message : String(error);
  }

  #toggle(): void {
    if (this.#controller === undefined) void this.write();
    else this.#controller.abort();
  }

  async #save(): Promise<void> {
    try {
      saveFile(`after-${this.#tokens}.state.safetensors`, await this.state());
    } catch (error) {
      this.fail(error);
    }
  }

  #describe(tokensPerSecond?: number): void {
    const rate = tokensPerSecond === undefined || !Number.isFinite(tokensPerSecond)
      ? ""
      : `${formatCount(Math.round(tokensPerSecond))} tokens/s · `;
    this.#facts.textContent = `${rate}${formatCount(this.#tokens)} tokens · ${
      formatBytes(this.#stream.stateBytes)
    } of state`;
  }
}
