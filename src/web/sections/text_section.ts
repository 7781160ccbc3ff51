/// <reference lib="dom" />
/** "Text": columns of it, each a stream of its own. */

import type { EngineClient } from "../engine_client.ts";
import { onChosenFiles } from "../dropped_files.ts";
import { find } from "../find.ts";
import type { PageModels } from "../page_models.ts";
import { type ColumnHost, TextColumn } from "./text_column.ts";

/** Sets up the section. */
export function openTextSection(engine: EngineClient, models: PageModels): TextSection {
  return new TextSection(engine, models);
}

/** The form, and the columns below it. */
export class TextSection {
  readonly #engine: EngineClient;
  readonly #models: PageModels;
  readonly #form = find("text-form", HTMLFormElement);
  readonly #prompt = find("text-prompt", HTMLTextAreaElement);
  readonly #seed = find("text-seed", HTMLInputElement);
  readonly #status = find("text-status", HTMLElement);
  readonly #list = find("text-columns", HTMLElement);
  readonly #columns = new Set<TextColumn>();
  readonly #host: ColumnHost;

  constructor(engine: EngineClient, models: PageModels) {
    this.#engine = engine;
    this.#models = models;
    this.#host = {
      engine,
      drawing: () => ({
        temperature: find("text-temperature", HTMLInputElement).valueAsNumber,
        topP: find("text-top-p", HTMLInputElement).valueAsNumber,
        maxTokens: find("text-tokens", HTMLInputElement).valueAsNumber,
      }),
      onFork: (column) => this.#try(() => this.#fork(column)),
      onClose: (column) => this.#try(() => this.#close(column)),
    };
    for (const id of ["text-temperature", "text-top-p"]) {
      const input = find(id, HTMLInputElement);
      const show = () => find(`${id}-value`, HTMLOutputElement).value = input.value;
      input.addEventListener("input", show);
      show();
    }
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(() => this.#begin());
    });
    onChosenFiles(find("text-state", HTMLInputElement), (files) => {
      for (const file of files) this.openState(file);
    });
    models.beforeReload("text", () => this.#saveAll());
    models.onChange((slot, isSameModel) => {
      if (slot !== "text") return;
      if (isSameModel) this.#try(() => this.#restoreAll());
      else for (const column of this.#columns) this.#remove(column);
    });
  }

  /** Opens a column where a state was saved. */
  openState(file: File): void {
    this.#try(async () => {
      await this.#models.ensure("text");
      const { name } = file;
      const bytes = new Uint8Array(await file.arrayBuffer());
      const stream = await this.#engine.call("restoreState", { bytes, name });
      const column = this.#add(new TextColumn(this.#host, stream, `[${name}] `));
      this.#status.textContent = "";
      column.element.scrollIntoView({ block: "nearest" });
    });
  }

  async #begin(): Promise<void> {
    const prompt = this.#prompt.value;
    await this.#models.ensure("text");
    this.#status.textContent = "";
    const seed = this.#seed.valueAsNumber;
    const stream = await this.#engine.call("openStream", { prompt, seed });
    for (const column of this.#columns) await this.#close(column);
    const column = this.#add(new TextColumn(this.#host, stream, prompt));
    await column.write();
  }

  async #fork(column: TextColumn): Promise<void> {
    await column.stop();
    const stream = await this.#engine.call("fork", { stream: column.stream });
    const other = this.#add(new TextColumn(this.#host, stream, column.text));
    // With the same seed it would write the same.
    other.seed = column.seed + 1;
    await other.write();
  }

  async #close(column: TextColumn): Promise<void> {
    await column.stop();
    this.#remove(column);
    await this.#engine.call("closeStream", { stream: column.stream });
  }

  #add(column: TextColumn): TextColumn {
    this.#columns.add(column);
    this.#list.append(column.element);
    return column;
  }

  #remove(column: TextColumn): void {
    this.#columns.delete(column);
    column.element.remove();
  }

  /** States of the columns, while their model moves to another executor. */
  #saved = new Map<TextColumn, Uint8Array<ArrayBuffer>>();

  async #saveAll(): Promise<void> {
    this.#saved.clear();
    for (const column of this.#columns) this.#saved.set(column, await column.state());
  }

  async #restoreAll(): Promise<void> {
    if (this.#saved.size === 0) return;
    await this.#models.ensure("text");
    for (const [column, bytes] of this.#saved) {
      const name = "the column's state";
      column.moveTo(await this.#engine.call("restoreState", { bytes, name }));
    }
    this.#saved.clear();
  }

  #try(action: () => Promise<void>): void {
    action().catch((error: unknown) => {
      this.#status.textContent = error instanceof Error ? error.message : String(error);
    });
  }
}
