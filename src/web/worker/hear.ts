/** What a microphone hears, named sound by sound. */

import { classifySounds } from "../../engine/classify_sounds.ts";
import type { Handlers } from "../calls.ts";
import { modelIn } from "./models.ts";

/** Sound that may wait for its turn, in seconds: who is so far behind does not catch up any more. */
const MOST_WAITING_S = 30;

/** Silence, in dB: what is softer is no louder than this. */
const SILENCE_DB = -100;

/** Names sounds as they end, until it is told to stop. */
export const hear: Handlers["hear"] = async ({ samples, sampleRate }, { signal, emit }) => {
  const heard = heardBy(samples, sampleRate, (level) => emit({ level }));
  for await (const sound of classifySounds(modelIn("sound"), heard, { sampleRate, signal })) {
    emit({ sound });
  }
};

/** The samples that come through a port, which is closed at the end. */
async function* heardBy(
  port: MessagePort,
  sampleRate: number,
  onLevel: (level: number) => void,
): AsyncGenerator<Float32Array, void> {
  const waiting: Float32Array[] = [];
  let count = 0;
  let wake = () => {};
  port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
    waiting.push(data);
    count += data.length;
    wake();
  };
  try {
    for (;;) {
      const piece = waiting.shift();
      if (piece === undefined) {
        await new Promise<void>((resolve) => wake = resolve);
        continue;
      }
      if (count > MOST_WAITING_S * sampleRate) {
        throw new RangeError(
          `Cannot keep up with the microphone: ${MOST_WAITING_S} s of sound wait to be heard`,
        );
      }
      count -= piece.length;
      onLevel(levelOf(piece));
      yield piece;
    }
  } finally {
    port.close();
  }
}

function levelOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length;
  return Math.max(SILENCE_DB, 10 * Math.log10(power));
}
