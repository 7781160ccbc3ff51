/// <reference lib="dom" />
/** In the browser's thread of sound: passes samples on, through a port that it is given, some at a time. */

/** What this thread offers, of which TypeScript knows nothing. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** Samples that go at once: a message for each of the browser's 128 would be 375 a second. */
const PIECE = 1024;

class MicrophoneProcessor extends AudioWorkletProcessor {
  #to: MessagePort | undefined;
  #piece = new Float32Array(PIECE);
  #filled = 0;

  constructor() {
    super();
    this.port.onmessage = ({ ports }) => this.#to = ports[0];
  }

  /** Takes 128 samples or so; none, where the microphone gives none. */
  process([input]: readonly (readonly Float32Array[])[]): boolean {
    for (const sample of input?.[0] ?? []) {
      this.#piece[this.#filled++] = sample;
      if (this.#filled < PIECE) continue;
      this.#to?.postMessage(this.#piece, [this.#piece.buffer]);
      this.#piece = new Float32Array(PIECE);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
