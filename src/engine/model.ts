/** A loaded model: weights on a device, and everything that one can do with them. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { stateBytes } from "../model/state_layout.ts";
import {
  BURST,
  type Classification,
  classifyBatch,
  type ClassifyOptions,
  classifyStream,
  type ClassifyStreamOptions,
  requireClassifier,
  type StreamedClassification,
} from "./classify.ts";
import type { Backend, Executor } from "../model/executor.ts";
import type { GeneratedToken, GenerateOptions } from "./generate.ts";
import {
  type IdStream,
  type ScoreOptions,
  scoreTokens,
  type TokenIds,
  type TokenScore,
} from "./score.ts";
import { awaitedInputs } from "./awaited_inputs.ts";
import { isStream } from "./check_inputs.ts";
import { Call, Lifetime } from "./lifetime.ts";
import type { Inputs, Session } from "./session.ts";
import { SpareState } from "./spare_state.ts";
import { type SessionModel, type SessionOptions, StreamSession } from "./stream_session.ts";
import { createTogether } from "./together.ts";
import { Turns } from "./turns.ts";

/**
 * A model on a device. Weights are shared by all sessions; freeing the model frees them.
 *
 * It may be disposed at any moment: what is under way on it or its sessions then rejects with a TypeError, as does what
 * comes later, and the memory is freed when the last call has ended.
 *
 * Every method but {@linkcode Model.createSession} works in a session of its own.
 *
 * @example How expected each token was
 * ```ts
 * import { loadModel } from "../../mod.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * let nats = 0;
 * for await (const { logprob } of model.score([1, 2, 3])) nats -= logprob || 0; // the first is NaN
 * nats; // the loss over two tokens
 * ```
 */
export interface Model extends Disposable {
  /** Sizes and settings, as derived from the checkpoint's config.json. */
  readonly config: ModelConfig;
  /** The checkpoint's tokenizer, where it has one. */
  readonly tokenizer: Tokenizer | undefined;
  /** Names of a classifier's classes, where the checkpoint names them. */
  readonly labels: readonly string[] | undefined;
  /** What runs the model. */
  readonly backend: Backend;
  /** What the device that runs the model calls itself. */
  readonly device: string;
  /** What one should know of that device, where there is something: such as that it is slow, and why. */
  readonly deviceNote: string | undefined;
  /** Bytes of the weights on the device. */
  readonly weightBytes: number;
  /** Bytes of one session's recurrent state, whatever its length. */
  readonly stateBytes: number;
  /**
   * Bytes of the device's memory that the model and its open sessions hold now: weights, states, and what calls work in, which
   * is made when first needed and kept. The same however much a session has consumed; 0 after the model and its
   * sessions are freed. What the driver takes for itself is not in it.
   */
  readonly deviceBytes: number;
  /**
   * Streams a continuation of a prompt.
   *
   * @param prompt Text, or token ids.
   */
  generate(
    prompt: string | readonly number[],
    options?: GenerateOptions,
  ): AsyncIterable<GeneratedToken>;
  /**
   * Classifies one sequence.
   *
   * @param input Floats (seqlen, d_input), preprocessed as the config says; token ids for a model that takes ids.
   */
  classify(input: Inputs, options?: ClassifyOptions): Promise<Classification>;
  /** Classifies `batch` sequences of equal length, back to back in `inputs`. */
  classifyBatch(
    inputs: Inputs,
    batch: number,
    options?: ClassifyOptions,
  ): Promise<Classification[]>;
  /**
   * Classifies a stream after every step: break when sure enough, or say with `confident` what is.
   *
   * @param inputs The d_input floats of each step; one token id for a model that takes ids.
   */
  classifyStream(
    inputs: AsyncIterable<Float32Array | number> | Iterable<Float32Array | number>,
    options?: ClassifyStreamOptions,
  ): AsyncIterable<StreamedClassification>;
  /**
   * Says of every token how expected it was, in constant memory.
   *
   * @param input Text, token ids, or a stream of ids without end, one by one or some at a time: each is scored at once.
   * @param options The whole input is one stream, unless they cut it into windows.
   */
  score(
    input: string | TokenIds | IdStream,
    options?: ScoreOptions,
  ): AsyncIterable<TokenScore>;
  /** Opens a stream through the model: state in, state out, step by step. */
  createSession(options?: SessionOptions): Session;
}

/**
 * Puts a model together from an executor and what came with the weights.
 *
 * @param reason Why this device runs it, where that is worth saying.
 */
export function createModel(
  made: Omit<SessionModel, "lifetime" | "turns" | "together" | "spare">,
  reason?: string,
): Model {
  const { executor, tokenizer } = made;
  const spare = new SpareState(executor);
  const lifetime = new Lifetime("the model", () => {
    spare[Symbol.dispose]();
    executor[Symbol.dispose]();
  });
  const turns = new Turns();
  const together = createTogether(executor, turns, lifetime);
  const parts: SessionModel = { ...made, lifetime, turns, together, spare };
  const encode = (input: string | readonly number[]): readonly number[] => {
    if (typeof input !== "string") return input;
    if (tokenizer === undefined) {
      throw new TypeError(
        "Cannot encode text: the checkpoint has no tokenizer.json. Give token ids",
      );
    }
    return tokenizer.encode(input);
  };
  /** What a generator does in a session of its own. */
  const inSession = <T>(
    action: string,
    work: (session: StreamSession) => AsyncGenerator<T, void>,
    options?: SessionOptions,
  ): AsyncIterable<T> => {
    const generator = async function* (): AsyncGenerator<T, void> {
      const session = new StreamSession(parts, { rewind: 0, ...options });
      try {
        yield* work(session);
      } finally {
        session[Symbol.dispose]();
      }
    };
    return lifetime.generator(action, generator());
  };
  return {
    config: executor.config,
    tokenizer,
    labels: executor.config.labels,
    backend: executor.backend,
    device: executor.device,
    deviceNote: executor.deviceNote ?? (reason === undefined ? undefined : `as ${reason}`),
    weightBytes: executor.weightBytes,
    stateBytes: stateBytes(executor.config),
    get deviceBytes() {
      return executor.deviceBytes;
    },
    generate: (prompt, options) =>
      inSession("generate", async function* (session) {
        requireLanguageModel(executor, "generate");
        await session.prefill(encode(prompt), { logits: "none", signal: options?.signal });
        yield* session.generate(options);
      }, options),
    classify: (input, options) =>
      lifetime.call("classify", undefined, async () => {
        const [only] = await classifyBatch(parts, input, 1, options);
        if (only === undefined) throw new TypeError("Cannot classify: there is no input");
        return only;
      }),
    classifyBatch: (inputs, batch, options) => classifyBatch(parts, inputs, batch, options),
    classifyStream: (inputs, options) =>
      inSession("classify", (session) => {
        requireClassifier(executor);
        const call = new Call("classify", lifetime, options?.signal);
        const until = isStream("classify", inputs) ? awaitedInputs(inputs, call) : inputs;
        return classifyStream(session, until, executor.config, options);
      }, { rewind: BURST }),
    score: (input, options) =>
      inSession("score", (session) => {
        requireLanguageModel(executor, "score");
        const call = new Call("score", lifetime, options?.signal);
        const ids = typeof input === "string"
          ? encode(input)
          : isStream("score", input)
          ? awaitedInputs(input, call)
          : input;
        return scoreTokens(session, ids, options);
      }),
    createSession: (options) => new StreamSession(parts, options),
    [Symbol.dispose]: () => lifetime[Symbol.dispose](),
  };
}

/** Before the prompt is looked at: a classifier would complain about its shape. */
function requireLanguageModel(executor: Executor, action: string): void {
  const { head, input } = executor.config;
  if (head.kind !== "lm") {
    throw new TypeError(`Cannot ${action}: this model is a classifier. Use classify`);
  }
  if (input.kind !== "embedding") {
    throw new TypeError(`Cannot ${action}: this model takes ${input.d_input} floats, not tokens`);
  }
}
