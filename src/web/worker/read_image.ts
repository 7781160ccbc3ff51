/** An image goes into a classifier row by row; of each row the state is kept, so that only what changed is read again. */

import { classification } from "../../engine/classify.ts";
import type { Model } from "../../engine/model.ts";
import type { Session } from "../../engine/session.ts";
import type { Snapshot } from "../../engine/snapshot.ts";
import { eventLoopTurn } from "../../io/event_loop_turn.ts";
import { type ImageLayout, imageToInput } from "../../io/images/image.ts";
import type { Handlers } from "../calls.ts";
import { modelIn, onUnload } from "./models.ts";

/** A row that was read, and what came of it. */
interface ReadRow {
  /** The row's pixels, as the model takes them. */
  readonly input: Float32Array;
  /** (pixels of the row, classes). */
  readonly probabilities: Float32Array;
  /** The state after it. */
  readonly after: Snapshot;
}

/** Of the image that was read last. */
let rows: ReadRow[] = [];
let session: Session | undefined;
/** Who asks last reads first: the one before ends at its next row. */
let turn: Promise<unknown> = Promise.resolve();

onUnload("digit", () => {
  session?.[Symbol.dispose]();
  session = undefined;
  rows = [];
});

/** Reads an image, and tells of every row as it is read. */
export const readImage: Handlers["readImage"] = async ({ pixels }, { signal, emit }) => {
  const last = turn;
  const { promise, resolve } = Promise.withResolvers<void>();
  turn = promise;
  await last;
  try {
    signal.throwIfAborted();
    const start = performance.now();
    const model = modelIn("digit");
    const layout = pixelLayout(model);
    const { width, height, channels } = layout;
    const input = imageToInput(pixels, width, height, channels, layout);
    session ??= model.createSession();
    let reusedRows = 0;
    for (let row = 0; row < height; row++) {
      const own = input.subarray(row * width, (row + 1) * width);
      const known = rows[row];
      const isKnown = known !== undefined && own.every((value, i) => value === known.input[i]);
      if (isKnown) reusedRows++;
      else {
        signal.throwIfAborted();
        const before = rows[row - 1];
        rows.length = row;
        if (session.position !== row * width) goTo(session, before?.after);
        rows.push(await readRow(session, own));
        await eventLoopTurn();
      }
      emit({ from: row * width, probabilities: rows[row]?.probabilities ?? new Float32Array() });
    }
    return { elapsedMs: performance.now() - start, reusedRows };
  } finally {
    resolve();
  }
};

function goTo(session: Session, snapshot: Snapshot | undefined): void {
  if (snapshot === undefined) session.reset();
  else session.restore(snapshot);
}

async function readRow(session: Session, input: Float32Array): Promise<ReadRow> {
  const logits = await session.prefill(input, { logits: "all" }) ?? new Float32Array();
  const classes = logits.length / input.length;
  const probabilities = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const own = classification(logits.subarray(start, start + classes), undefined);
    probabilities.set(own.probabilities, start);
  }
  return { input, probabilities, after: await session.snapshot() };
}

function pixelLayout({ config: { preprocessing } }: Model): ImageLayout {
  if (preprocessing?.kind === "image" && preprocessing.step === "pixel") return preprocessing;
  throw new TypeError("Cannot read an image: this model takes none pixel by pixel");
}
