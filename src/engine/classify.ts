/** Classification: of whole sequences, of many at once, and of a stream after every step. */

import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth } from "../model/ends.ts";
import type { Executor } from "../model/executor.ts";
import { checkInputs, requireWholeImage } from "./check_inputs.ts";
import type { Inputs, Session } from "./session.ts";
import type { SessionModel, StreamSession } from "./stream_session.ts";

/** What a classifier says of a sequence. */
export interface Classification {
  /** The likeliest class's name, or its index as text where the checkpoint names none. */
  readonly label: string;
  /** Its index. */
  readonly index: number;
  /** Probability of every class, by index. */
  readonly probabilities: Float32Array;
}

/** Options of the calls that classify. */
export interface ClassifyOptions {
  /** Ends the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a classifier says after a step of a stream. */
export interface StreamedClassification extends Classification {
  /** Steps so far. */
  readonly step: number;
  /** Whether the likeliest class is as probable as was asked for: the stream ends with this step. */
  readonly isConfident: boolean;
}

/** Options of `classifyStream`. */
export interface ClassifyStreamOptions extends ClassifyOptions {
  /**
   * Ends the stream with the step at which a class reaches this probability, above 0; what follows is not asked for.
   *
   * @default {Infinity}
   */
  readonly confident?: number | undefined;
}

/** Softmax of logits, and the likeliest class. */
export function classification(
  logits: Float32Array,
  labels: readonly string[] | undefined,
): Classification {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  if (!Number.isFinite(largest)) {
    throw new RangeError(`Cannot classify: the logits are [${logits.join(", ")}]`);
  }
  const exponentials = new Float64Array(logits).map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  const index = logits.indexOf(largest);
  return {
    label: labels?.[index] ?? String(index),
    index,
    probabilities: new Float32Array(exponentials.map((value) => value / sum)),
  };
}

/**
 * Classifies `batch` sequences of equal length, which lie back to back.
 *
 * @param inputs Floats (batch, seqlen, d_input), or token ids (batch, seqlen) for a model that takes ids.
 * @throws {TypeError} If the model is no classifier, or the inputs do not divide into that many sequences.
 * @throws {RangeError} If the model takes images, and a sequence is not a whole one.
 */
export function classifyBatch(
  model: SessionModel,
  inputs: Inputs,
  batch: number,
  { signal }: ClassifyOptions = {},
): Promise<Classification[]> {
  const { executor, lifetime } = model;
  return lifetime.call("classify", signal, async (call) => {
    requireClassifier(executor);
    const checked = checkInputs(executor.config, inputs);
    const { head, labels } = executor.config;
    const stepSize = inputWidth(executor.config);
    if (!Number.isInteger(batch) || batch < 1 || checked.length % (batch * stepSize) !== 0) {
      throw new TypeError(
        `Cannot classify ${batch} sequences: ${checked.length} values do not divide into steps of ${stepSize} for each`,
      );
    }
    requireWholeImage(executor.config, checked.length / batch);
    const state = model.spare.take(batch);
    try {
      const logits = await model.turns.run(
        call,
        (pauses) => executor.forward(state, checked, { logits: "last", pauses }),
      ) ?? new Float32Array();
      call.check();
      const n = head.kind === "classifier" ? head.n_classes : 0;
      return Array.from(
        { length: batch },
        (_, b) => classification(logits.subarray(b * n, (b + 1) * n), labels),
      );
    } finally {
      // However it ended: the next one begins with a reset.
      model.spare.give(state);
    }
  });
}

/**
 * Says after every step of a stream what the classifier makes of it so far; breaking off early costs nothing, and leaves
 * the session behind the last step that was told. Steps of a list go through together, some at a time.
 *
 * @param session Steps of a list go through together only if it can take back {@linkcode BURST} inputs.
 * @throws {RangeError} If `confident` is no number above 0.
 */
export async function* classifyStream(
  session: StreamSession,
  inputs: AsyncIterable<Float32Array | number> | Iterable<Float32Array | number>,
  config: ModelConfig,
  { signal, confident = Infinity }: ClassifyStreamOptions = {},
): AsyncGenerator<StreamedClassification, void> {
  if (!(confident > 0)) {
    throw new RangeError(`Cannot classify: confident is ${confident}, and it must be above 0`);
  }
  signal?.throwIfAborted();
  let step = 0;
  const width = inputWidth(config);
  const logits = isList(inputs) && session.reach >= BURST
    ? logitsOfList(session, inputs, width, signal)
    : logitsOfStream(session, inputs, signal);
  for await (const each of logits) {
    const result = classification(each, config.labels);
    const isConfident = (result.probabilities[result.index] ?? 0) >= confident;
    yield { ...result, step: ++step, isConfident };
    if (isConfident) return;
  }
}

type Step = Float32Array | number;

/** Inputs that are all known. */
type List = readonly Step[] | Float32Array;

function isList(inputs: AsyncIterable<Step> | Iterable<Step>): inputs is List {
  return Array.isArray(inputs) || inputs instanceof Float32Array;
}

async function* logitsOfStream(
  session: Session,
  inputs: AsyncIterable<Step> | Iterable<Step>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Float32Array, void> {
  for await (const input of inputs) yield await session.step(input, { signal });
}

/** Steps of a list that go through together: what a step hands out costs more than the step. */
export const BURST = 32;

/** The same for a list, which the session is ahead of meanwhile: what was not told is taken back in the end. */
async function* logitsOfList(
  session: StreamSession,
  inputs: List,
  width: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Float32Array, void> {
  let ahead = 0;
  try {
    for (let first = 0; first < inputs.length; first += BURST) {
      const steps: readonly Step[] = Array.from(inputs.slice(first, first + BURST));
      const burst = joined(steps, width);
      const logits = burst &&
        await session.prefill(burst, { logits: "all", signal }).catch(() => {});
      ahead = logits === undefined ? 0 : steps.length;
      for (const [index, step] of steps.entries()) {
        const count = (logits?.length ?? 0) / steps.length;
        signal?.throwIfAborted();
        ahead = Math.max(0, ahead - 1);
        // Whatever is wrong with a burst is wrong with one of its steps: those before it are told.
        yield logits?.subarray(index * count, (index + 1) * count) ??
          await session.step(step, { signal });
      }
    }
  } finally {
    if (ahead > 0 && !session.isOver) session.rewind(ahead);
  }
}

/** Steps back to back, if each of them is one. */
function joined(steps: readonly Step[], width: number): Inputs | undefined {
  const numbers = steps.filter((step) => typeof step === "number");
  if (numbers.length === steps.length) return width === 1 ? numbers : undefined;
  const values = new Float32Array(steps.length * width);
  for (const [index, step] of steps.entries()) {
    if (!(step instanceof Float32Array) || step.length !== width) return undefined;
    values.set(step, index * width);
  }
  return values;
}

/** @throws {TypeError} If the model is no classifier. */
export function requireClassifier(executor: Executor): void {
  if (executor.config.head.kind !== "classifier") {
    throw new TypeError(
      "Cannot classify: this model has a language-model head, not a classifier's",
    );
  }
}
