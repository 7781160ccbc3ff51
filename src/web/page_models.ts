/// <reference lib="dom" />
/** The page's models: what each is loaded from, on which executor, and who is told. */

import type { Backend } from "../../mod.ts";
import type { LoadChoice, LoadedModel, ModelSource, Slot } from "./calls.ts";
import type { EngineClient } from "./engine_client.ts";
import { find } from "./find.ts";
import { formatBytes, formatTime } from "./format.ts";

/** Where a slot's model comes from. */
export interface SlotSource {
  readonly source: ModelSource;
  /** What the page calls it. */
  readonly name: string;
  readonly choice: Omit<LoadChoice, "backend">;
}

interface SlotState {
  from: SlotSource;
  loading: Promise<LoadedModel> | undefined;
}

/** Loads models when they are first needed, and again where another executor is chosen. */
export class PageModels {
  readonly #engine: EngineClient;
  readonly #slots: Record<Slot, SlotState>;
  readonly #onChange: ((slot: Slot, isSameModel: boolean) => void)[] = [];
  readonly #beforeReload = new Map<Slot, () => Promise<void>>();
  readonly #status = find("executor-status", HTMLElement);
  /** What is loaded, in words. */
  readonly #loaded = new Map<Slot, string>();
  #backend: Backend | "auto" = "auto";

  constructor(engine: EngineClient) {
    this.#engine = engine;
    const own = (folder: string, name: string): SlotState => ({
      from: {
        source: new URL(`weights/${folder}/`, document.baseURI).href,
        name,
        choice: {},
      },
      loading: undefined,
    });
    this.#slots = {
      digit: own("mnist", "weights/mnist"),
      sound: own("spoken-digits", "weights/spoken-digits"),
      text: own("shakespeare", "Shakespeare"),
    };
    for (const input of document.querySelectorAll<HTMLInputElement>("input[name=backend]")) {
      input.addEventListener("change", () => {
        this.#backend = input.value as Backend | "auto";
        for (const slot of ["digit", "sound", "text"] as const) void this.#reload(slot);
      });
    }
  }

  /** Is told when a slot's model is to be replaced: whoever needs it asks for it again. */
  onChange(listener: (slot: Slot, isSameModel: boolean) => void): void {
    this.#onChange.push(listener);
  }

  /** What is to be done with a slot's model before it moves to another executor. */
  beforeReload(slot: Slot, action: () => Promise<void>): void {
    this.#beforeReload.set(slot, action);
  }

  /** The executor that the switch asks for. */
  get backend(): Backend | "auto" {
    return this.#backend;
  }

  /** The slot's model, loaded where it is not. */
  ensure(slot: Slot): Promise<LoadedModel> {
    const state = this.#slots[slot];
    state.loading ??= this.#load(slot, state.from).then((loaded) => {
      this.#describe(slot, loaded);
      return loaded;
    }).catch((error: unknown) => {
      state.loading = undefined;
      throw error;
    });
    return state.loading;
  }

  /** Takes another model for a slot. It is loaded at once; where that fails, the one before stays. */
  async use(slot: Slot, from: SlotSource, report: (text: string) => void): Promise<LoadedModel> {
    const loaded = await this.#load(slot, from, report);
    this.#slots[slot] = { from, loading: Promise.resolve(loaded) };
    this.#describe(slot, loaded);
    for (const listener of this.#onChange) listener(slot, false);
    return loaded;
  }

  async #reload(slot: Slot): Promise<void> {
    if (this.#slots[slot].loading === undefined) return;
    await this.#beforeReload.get(slot)?.();
    this.#slots[slot].loading = undefined;
    for (const listener of this.#onChange) listener(slot, true);
  }

  async #load(
    slot: Slot,
    { source, name, choice }: SlotSource,
    report: (text: string) => void = (text) => this.#status.textContent = text,
  ): Promise<LoadedModel> {
    report(`Loading ${name} …`);
    try {
      const loaded = await this.#engine.call("load", {
        slot,
        source,
        choice: { ...choice, backend: this.#backend },
      }, {
        onEvent: ({ stage, loadedBytes, totalBytes }) => {
          const share = totalBytes === undefined ? "" : ` of ${formatBytes(totalBytes)}`;
          report(
            `${stage === "load" ? "Loading" : "Downloading"} ${name}: ${
              formatBytes(loadedBytes)
            }${share}`,
          );
        },
      });
      return loaded;
    } catch (error) {
      report(`Cannot load ${name}: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
  }

  #describe(slot: Slot, { backend, device, note, weightBytes, elapsedMs }: LoadedModel): void {
    const name = this.#slots[slot].from.name;
    this.#loaded.set(slot, `${name}: ${formatBytes(weightBytes)}, in ${formatTime(elapsedMs)}`);
    const executor = backend === "webgpu" ? "WebGPU" : "WebAssembly";
    const reason = note === undefined ? "" : `, ${note}`;
    this.#status.textContent = `${executor}: ${device}${reason}. Loaded: ${
      [...this.#loaded.values()].join("; ")
    }.`;
  }
}
