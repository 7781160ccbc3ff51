/** What the page asks of its worker: every call's arguments, what it tells on the way, and what it gives. */

import type {
  Backend,
  DownloadProgress,
  HeardSound,
  LoadProgress,
  WeightDType,
} from "../../mod.ts";
import type { CheckRow } from "./worker/checks.ts";
import type { Inspection } from "./worker/checkpoints.ts";
import type { KeptFile } from "./worker/kept_pieces.ts";

/** What a model is loaded for: each has one at a time. */
export type Slot = "digit" | "sound" | "text";

/** Where a checkpoint is: a URL, a hub's name, or files that were dropped on the page. */
export type ModelSource = string | readonly File[];

/** What is known of a model that is loaded. */
export interface LoadedModel {
  readonly backend: Backend;
  readonly device: string;
  /** What one should know of it: why it is the CPU, say. */
  readonly note: string | undefined;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly deviceBytes: number;
  readonly labels: readonly string[] | undefined;
  readonly elapsedMs: number;
}

/** Which executor, and what else loading leaves open. */
export interface LoadChoice {
  readonly backend: Backend | "auto";
  readonly dtype?: WeightDType;
  /** Whether what is downloaded stays in the browser for another day. */
  readonly keep?: boolean;
}

/** Probabilities after each of some pixels. */
export interface Reading {
  /** Pixels before the first of them. */
  readonly from: number;
  /** (pixels, classes). */
  readonly probabilities: Float32Array;
}

/** What is told of a microphone: how loud it is, in dB below the loudest that there is, and each sound once it is over. */
export type Hearing = { readonly level: number } | { readonly sound: HeardSound };

/** How tokens are drawn. */
export interface Drawing {
  readonly seed: number;
  readonly temperature: number;
  readonly topP: number;
  readonly maxTokens: number;
}

/** Text that came since the last such event. */
export interface Written {
  readonly text: string;
  /** Tokens since the call began, ... */
  readonly tokens: number;
  /** ... in so much time. */
  readonly elapsedMs: number;
}

/** A stream of text, by the number that it is called. */
export interface OpenStream {
  readonly stream: number;
  /** Tokens of the text so far. */
  readonly tokens: number;
  readonly stateBytes: number;
  readonly seed: number;
}

/** What this machine offers to a page. */
export interface Offer {
  readonly adapter: string | undefined;
  readonly isSoftware: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Threads that the CPU's module may have. */
  readonly threads: number;
  /** Whether the page's server isolates it, which threads need. */
  readonly isIsolated: boolean;
}

/** What training tells: where it runs, once, and then each step. */
export type TrainingEvent = { readonly device: string; readonly summary: string } | {
  readonly step: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
  /** The loss of what was kept apart, where it was measured. */
  readonly validation: number | undefined;
};

/** Every call by name. */
export interface Calls {
  offer: Call<undefined, never, Offer>;
  load: Call<
    { slot: Slot; source: ModelSource; choice: LoadChoice },
    LoadProgress | DownloadProgress,
    LoadedModel
  >;
  readImage: Call<{ pixels: Uint8Array }, Reading, { elapsedMs: number; reusedRows: number }>;
  hear: Call<{ samples: MessagePort; sampleRate: number }, Hearing, void>;
  openStream: Call<{ prompt: string; seed: number }, never, OpenStream>;
  write: Call<{ stream: number; drawing: Drawing }, Written, Written>;
  fork: Call<{ stream: number }, never, OpenStream>;
  saveState: Call<{ stream: number }, never, Uint8Array<ArrayBuffer>>;
  restoreState: Call<{ bytes: Uint8Array<ArrayBuffer>; name: string }, never, OpenStream>;
  closeStream: Call<{ stream: number }, never, void>;
  check: Call<{ backend: Backend; isQuick: boolean; hasDefaultLimits: boolean }, CheckRow, void>;
  inspect: Call<{ source: ModelSource; keep: boolean }, never, Inspection>;
  trainText: Call<
    { text: string; steps: number; seed: number; backend: Backend | "auto" },
    TrainingEvent,
    { files: readonly File[]; zip: Uint8Array<ArrayBuffer> }
  >;
  listKept: Call<undefined, never, readonly KeptFile[]>;
  deleteKept: Call<{ url: string }, never, void>;
}

/** One call's three types. */
interface Call<Argument, Event, Result> {
  readonly argument: Argument;
  readonly event: Event;
  readonly result: Result;
}

/** A call's name. */
export type CallName = keyof Calls;

/** What the page sends. */
export type Request =
  | {
    readonly [Name in CallName]: {
      readonly id: number;
      readonly name: Name;
      readonly argument: Calls[Name]["argument"];
    };
  }[CallName]
  | { readonly id: number; readonly name: "abort" };

/** What the worker answers: some events, then one result or an error. */
export type Answer =
  | { readonly id: number; readonly kind: "event" | "result"; readonly value: unknown }
  | {
    readonly id: number;
    readonly kind: "error";
    readonly name: string;
    readonly message: string;
  };

/** What does the work of the calls, in the worker. */
export type Handlers = {
  readonly [Name in CallName]: (
    argument: Calls[Name]["argument"],
    context: {
      readonly signal: AbortSignal;
      readonly emit: (event: Calls[Name]["event"]) => void;
    },
  ) => Promise<Calls[Name]["result"]>;
};
