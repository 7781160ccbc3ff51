/// <reference lib="dom" />
/** "A checkpoint of yours": looked at first, loaded when its memory is known, kept by the browser if one likes. */

import type { WeightDType } from "../../../mod.ts";
import type { ModelSource, Slot } from "../calls.ts";
import { onChosenFiles } from "../dropped_files.ts";
import { type EngineClient, isAbort } from "../engine_client.ts";
import { create, createButton, find } from "../find.ts";
import { formatBytes, formatCount } from "../format.ts";
import type { PageModels } from "../page_models.ts";
import type { Inspection } from "../worker/checkpoints.ts";

/** What each type is called. */
const DTYPE_NAMES: Readonly<Record<WeightDType, string>> = {
  auto: "as stored",
  f32: "float, 32 bits",
  f16: "float, 16 bits",
  bf16: "bfloat, 16 bits",
  int8: "8 bits",
  int4: "4 bits",
};

/** What running takes beside weights and state, about. */
const WORKING_BYTES = 130e6;

/** Sets up the section. */
export function openCheckpointSection(engine: EngineClient, models: PageModels): CheckpointSection {
  return new CheckpointSection(engine, models);
}

/** What is looked at, and what is kept. */
export class CheckpointSection {
  readonly #engine: EngineClient;
  readonly #models: PageModels;
  readonly #status = find("checkpoint-status", HTMLElement);
  readonly #facts = find("checkpoint-facts", HTMLElement);
  readonly #dtype = find("checkpoint-dtype", HTMLSelectElement);
  readonly #load = find("checkpoint-load", HTMLButtonElement);
  readonly #details = find("checkpoint-details", HTMLElement);
  readonly #keep = find("checkpoint-keep", HTMLInputElement);
  #looking = new AbortController();
  #found: { readonly source: ModelSource; readonly inspection: Inspection } | undefined;

  constructor(engine: EngineClient, models: PageModels) {
    this.#engine = engine;
    this.#models = models;
    find("checkpoint-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.look(find("checkpoint-source", HTMLInputElement).value);
    });
    onChosenFiles(find("checkpoint-files", HTMLInputElement), (files) => void this.look(files));
    this.#dtype.addEventListener("change", () => this.#describe());
    this.#load.addEventListener("click", () => void this.#loadFound());
    void this.#listKept();
  }

  /** Looks at a checkpoint, without loading its weights. */
  async look(source: ModelSource): Promise<void> {
    this.#looking.abort();
    const { signal } = this.#looking = new AbortController();
    this.#details.hidden = true;
    this.#status.textContent = "Looking …";
    try {
      const argument = { source, keep: this.#keep.checked };
      const inspection = await this.#engine.call("inspect", argument, { signal });
      this.#found = { source, inspection };
      this.#dtype.replaceChildren(
        ...inspection.weightBytes.map(({ dtype }) => new Option(DTYPE_NAMES[dtype], dtype)),
      );
      this.#status.textContent = "";
      this.#details.hidden = false;
      this.#describe();
    } catch (error) {
      if (!isAbort(error)) this.#fail(error);
    }
  }

  #describe(): void {
    if (this.#found === undefined) return;
    const { source, inspection } = this.#found;
    const { name, family, parameters, storedBytes, weightBytes, stateBytes, slot } = inspection;
    const weights = weightBytes.find(({ dtype }) => dtype === this.#dtype.value)?.sizeBytes ?? 0;
    const isFiles = typeof source !== "string";
    const facts: [string, string][] = [
      ["Name", isFiles ? source.map((file) => file.name).join(", ") : name],
      ["Model", `${family}, ${formatCount(parameters)} parameters`],
      [isFiles ? "Read" : "Download", formatBytes(storedBytes)],
      [
        "Memory",
        `${formatBytes(weights + WORKING_BYTES)}: ${formatBytes(weights)} of weights, about ${
          formatBytes(WORKING_BYTES)
        } to work in`,
      ],
      ["State", `${formatBytes(stateBytes)} a stream, at any length`],
      ["Used for", slot === undefined ? `nothing: ${inspection.reason}` : USES[slot]],
    ];
    this.#facts.replaceChildren(
      ...facts.flatMap((
        [term, value],
      ) => [create("dt", { text: term }), create("dd", { text: value })]),
    );
    this.#load.disabled = slot === undefined;
  }

  async #loadFound(): Promise<void> {
    if (this.#found?.inspection.slot === undefined) return;
    const { source, inspection: { slot, name } } = this.#found;
    const from = {
      source,
      name: typeof source === "string" ? name : "the files' model",
      choice: { dtype: this.#dtype.value as WeightDType, keep: this.#keep.checked },
    };
    this.#load.disabled = true;
    try {
      await this.#models.use(slot, from, (text) => this.#status.textContent = text);
      this.#status.textContent = `Loaded. It is used above, for ${USES[slot]}.`;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#load.disabled = false;
      await this.#listKept();
    }
  }

  async #listKept(): Promise<void> {
    const kept = await this.#engine.call("listKept", undefined);
    const list = find("checkpoint-kept", HTMLElement);
    list.replaceChildren(...kept.map(({ url, sizeBytes }) => {
      const item = create("li");
      item.append(
        create("span", { text: `${decodeURI(url)}, ${formatBytes(sizeBytes)}` }),
        createButton("Delete", () => {
          void this.#engine.call("deleteKept", { url }).then(() => this.#listKept());
        }),
      );
      return item;
    }));
    find("checkpoint-kept-title", HTMLElement).hidden = kept.length === 0;
  }

  #fail(error: unknown): void {
    this.#status.textContent = error instanceof Error ? error.message : String(error);
  }
}

const USES: Readonly<Record<Slot, string>> = {
  ...{ text: "text", digit: "digits", sound: "what is spoken" },
};
