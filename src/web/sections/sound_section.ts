/// <reference lib="dom" />
/** "Spoken digits": a microphone, and what it hears. */

import type { Hearing } from "../calls.ts";
import { type EngineClient, isAbort } from "../engine_client.ts";
import { create, find } from "../find.ts";
import { formatCount, formatTime } from "../format.ts";
import { openMicrophone } from "../microphone.ts";
import type { PageModels } from "../page_models.ts";

/** Digits that stay on the page. */
const MOST_SHOWN = 20;

/** A level that the bar shows as nothing, in dB below the loudest that there is. */
const SOFTEST_DB = -70;

const STOPPED = "Stopped: the microphone is off.";

/** Sets up the section. */
export function openSoundSection(engine: EngineClient, models: PageModels): void {
  new SoundSection(engine, models);
}

class SoundSection {
  readonly #engine: EngineClient;
  readonly #models: PageModels;
  readonly #listen = find("sound-listen", HTMLButtonElement);
  readonly #stop = find("sound-stop", HTMLButtonElement);
  readonly #level = find("sound-level", HTMLElement);
  readonly #status = find("sound-status", HTMLElement);
  readonly #heard = find("sound-heard", HTMLOListElement);
  #controller: AbortController | undefined;
  /** The listening under way, until the microphone is off. */
  #listening: Promise<void> | undefined;

  constructor(engine: EngineClient, models: PageModels) {
    this.#engine = engine;
    this.#models = models;
    this.#listen.addEventListener("click", () => this.#start());
    this.#stop.addEventListener("click", () => this.#controller?.abort());
    let goesOn = false;
    models.beforeReload("sound", async () => {
      goesOn = this.#listening !== undefined;
      this.#controller?.abort();
      await this.#listening;
    });
    models.onChange((slot) => {
      if (slot === "sound" && goesOn) this.#start();
    });
  }

  #start(): void {
    this.#listening ??= this.#hear().finally(() => this.#listening = undefined);
  }

  /** Listens until the stop. Whatever ends it, the microphone is off then. */
  async #hear(): Promise<void> {
    const controller = this.#controller = new AbortController();
    const { signal } = controller;
    this.#setListening(true);
    this.#status.textContent = "Waiting for the microphone …";
    let ending = STOPPED;
    try {
      const microphone = await openMicrophone(signal, () => {
        ending = "Stopped: the microphone was taken away.";
        controller.abort();
      });
      try {
        await this.#models.ensure("sound");
        const samples = await microphone.samples();
        signal.throwIfAborted();
        const { sampleRate } = microphone;
        this.#status.textContent = `Listening, ${
          formatCount(sampleRate)
        } samples a second: say a digit.`;
        await this.#engine.call("hear", { samples, sampleRate }, {
          ...{ signal, transfer: [samples] },
          onEvent: (event) => this.#take(event),
        });
      } finally {
        await microphone.close();
      }
    } catch (error) {
      if (!isAbort(error)) ending = error instanceof Error ? error.message : String(error);
    } finally {
      this.#status.textContent = ending;
      this.#setListening(false);
    }
  }

  #setListening(isListening: boolean): void {
    this.#listen.disabled = isListening;
    this.#stop.disabled = !isListening;
    this.#showLevel(SOFTEST_DB);
  }

  #take(event: Hearing): void {
    if (this.#controller?.signal.aborted) return;
    if ("level" in event) return this.#showLevel(event.level);
    const { label, index, probabilities, startMs, latencyMs } = event.sound;
    const probability = probabilities[index] ?? 0;
    const item = create("li");
    item.classList.toggle("unsure", probability < 0.5);
    item.append(
      create("b", { text: label }),
      create("span", { text: `${Math.round(probability * 100)} %` }),
    );
    this.#heard.append(item);
    if (this.#heard.childElementCount > MOST_SHOWN) this.#heard.firstElementChild?.remove();
    this.#status.textContent = `${label}, ${(startMs / 1000).toFixed(1)} s from the start, named ${
      formatTime(latencyMs)
    } after it ended.`;
  }

  #showLevel(level: number): void {
    const share = Math.max(0, 1 - level / SOFTEST_DB);
    this.#level.style.setProperty("--share", share.toFixed(3));
  }
}
