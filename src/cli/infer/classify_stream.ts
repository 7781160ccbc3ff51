/** `infer.ts classify --stream`: what a classifier makes of a stream, step by step. */

import { type Classification, classification } from "../../engine/classify.ts";
import type { Model } from "../../engine/model.ts";
import type { Session } from "../../engine/session.ts";
import { requireRegularFile } from "../../io/regular_file.ts";
import { ByteReader } from "../../io/streams/byte_stream.ts";
import { followFile } from "../../io/streams/follow_file.ts";
import { untilAborted } from "../../io/streams/until_aborted.ts";
import { readValues, STREAM_FORMATS } from "../../io/streams/values.ts";
import { type Arguments, type OptionSpec, UsageError } from "../terminal/arguments.ts";
import { catchInterrupt } from "../terminal/interrupt.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { readRawInput, stepSize, toModelInput } from "./classify_input.ts";
import { streamSounds } from "./classify_stream_of_sound.ts";
import { compilingLine } from "./compiling_line.ts";
import { loadForCommand, loadSettings } from "./load_model.ts";
import { type Steps, stepsOf, stepsOfImage, stepsTogether } from "./model_steps.ts";
import { openStateFile, STATE_OPTIONS, type StateFile } from "./state_file.ts";

/** The options that only a stream has. */
export const STREAM_OPTIONS: readonly OptionSpec[] = [
  {
    name: "follow",
    value: "FILE",
    help: "Stream a file, and what is written to it; Ctrl-C ends it",
  },
  {
    name: "format",
    value: "NAME",
    help: `${STREAM_FORMATS.join(", ")} (default auto: as it begins; u8, f32 are raw)`,
  },
  { name: "columns", value: "A,B", help: "Columns of a CSV by name, one a number of the step" },
  { name: "every", value: "N", help: "Print every Nth step alone, and the last (default 1)" },
  {
    name: "confident",
    value: "P",
    help: "End a sequence where a class reaches this probability, and say at which step",
  },
  ...STATE_OPTIONS,
];

/** How a stream is read and shown. */
interface StreamSettings {
  readonly every: number;
  readonly confident: number;
  readonly isJson: boolean;
}

/**
 * Prints what the classifier says after every step of a file, or of stdin as it comes.
 *
 * @returns The exit code.
 */
export async function classifyStream(args: Arguments, terminal: Terminal): Promise<number> {
  const [source = "", input] = args.positionals;
  const settings = loadSettings(args);
  const format = args.word("format", STREAM_FORMATS) ?? "auto";
  const columns = args.text("columns")?.split(",").map((name) => name.trim());
  if (columns !== undefined && !["auto", "csv"].includes(format)) {
    throw new UsageError(`Cannot use --columns with --format ${format}: columns are CSV's`);
  }
  const shown = {
    every: args.integer("every", { min: 1 }) ?? 1,
    confident: args.number("confident", { above: 0, max: 1 }) ?? Infinity,
    isJson: args.has("json"),
  };
  const follow = args.text("follow");
  if ((input === undefined) === (follow === undefined)) {
    throw new UsageError(
      "Cannot classify a stream: give one of a file, FILE:INDEX, - for stdin, or --follow FILE",
    );
  }
  const name = follow ?? (input === "-" ? "stdin" : input ?? "");
  // One image of a file is no stream of bytes.
  const isItem = /:\d+$/.test(name) && await Deno.stat(name).then(() => false, () => true);
  const raw = isItem ? await readRawInput(name, terminal) : undefined;
  if (name !== "stdin" && !isItem) await requireRegularFile(name);
  const states = await openStateFile(args, terminal);
  using model = await loadForCommand(source, settings, terminal);
  const { config } = model;
  if (config.preprocessing?.kind === "audio") {
    const other = STREAM_OPTIONS.find(({ name }) => args.text(name) !== undefined);
    if (other !== undefined || input === undefined) {
      throw new UsageError(`Cannot use --${other?.name}: this model names whole sounds`);
    }
    await streamSounds(model, input, args, terminal);
    return 0;
  }
  const width = stepSize(config);
  const image = config.preprocessing?.kind === "image" ? config.preprocessing : undefined;
  if (image !== undefined && states.saves && shown.confident !== Infinity) {
    throw new UsageError(
      "Cannot use --confident and --save-state together: what is passed over of an image is in no state",
    );
  }
  using session = model.createSession();
  states.begin(session);
  requireBorder(session, config, args.text("load-state"));
  if (session.position >= stepsOfImage(config)) session.reset();
  using interruption = catchInterrupt();
  const { signal } = interruption;
  const note = (why: string) => terminal.writeError(`Note: "${name}" was ${why}: from its start\n`);
  const bytes = follow !== undefined
    ? followFile(follow, { signal, onRestart: note })
    : input === "-"
    ? terminal.stdin()
    : readFile(name);
  const reader = new ByteReader(untilAborted(bytes, signal), name);
  const steps = raw === undefined
    ? stepsOf(readValues(reader, { format, columns, width, image }), config, name)
    : only(await toModelInput(raw, config, terminal));
  const stream = new StreamedClassification(model, session, shown, states, terminal);
  await states.keep(session, async () => {
    for await (const piece of untilCut(steps, signal)) {
      if (await stream.feed(piece, signal)) break;
    }
    stream.end(signal.aborted ? "" : name);
  });
  return interruption.code;
}

/** Values until the signal: what they come from may then end in the middle of one, which is no fault of its. */
async function* untilCut<T>(
  values: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  try {
    yield* values;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** @throws {RangeError} If a loaded state is of a place where no stream of pixels can go on. */
function requireBorder({ position }: Session, config: Model["config"], path = ""): void {
  const together = stepsTogether(config);
  if (position % together === 0) return;
  throw new RangeError(
    `Cannot go on from "${path}": it is of ${position} steps, and pixels become ${together} steps at once`,
  );
}

async function* readFile(path: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(2 ** 16);
  for (let count; (count = await file.read(buffer)) !== null;) yield buffer.slice(0, count);
}

async function* only(values: Float32Array): AsyncGenerator<Steps, void> {
  yield { values };
}

/** Feeds steps, and prints what comes of them. */
class StreamedClassification {
  readonly #model: Model;
  readonly #session: Session;
  readonly #settings: StreamSettings;
  readonly #states: StateFile;
  readonly #terminal: Terminal;
  readonly #d_input: number;
  readonly #imageSteps: number;
  readonly #together: number;
  readonly #compiling: Disposable;
  #item = 0;
  #isFed = false;
  /** Whether the rest of the sequence is passed over. */
  #isSure = false;
  /** That nobody reads what is printed. */
  #broken: Error | undefined;
  /** The step's result that was not shown. */
  #last: Classification | undefined;
  /** Steps of the sequence that came, fed or passed over. */
  #came: number;

  constructor(
    model: Model,
    session: Session,
    settings: StreamSettings,
    states: StateFile,
    terminal: Terminal,
  ) {
    this.#model = model;
    this.#session = session;
    this.#settings = settings;
    this.#states = states;
    this.#terminal = terminal;
    this.#d_input = stepSize(model.config);
    this.#imageSteps = stepsOfImage(model.config);
    this.#together = stepsTogether(model.config);
    this.#compiling = compilingLine(model, terminal);
    this.#came = session.position;
  }

  /** Feeds whole steps; gives whether there is nothing more to know. What is begun of a row of pixels is fed to its end. */
  async feed({ values, ends }: Steps, signal: AbortSignal): Promise<boolean> {
    this.#isFed ||= values.length > 0;
    const count = values.length / this.#d_input;
    for (let at = 0; at < count;) {
      if (this.#isAtBorder) {
        if (this.#broken !== undefined) throw this.#broken;
        if (signal.aborted) return true;
      }
      const untilItem = Math.min(this.#imageSteps - this.#came, count - at);
      const steps = this.#isSure ? untilItem : Math.min(untilItem, this.#untilShown());
      const isLast = this.#came + steps >= this.#imageSteps ||
        (ends ?? false) && at + steps === count;
      const isFed = !this.#isSure;
      if (isFed) {
        const part = values.subarray(at * this.#d_input, (at + steps) * this.#d_input);
        await this.#step(part, steps, isLast);
        if (this.#isSure && this.#imageSteps === Infinity && ends === undefined) return true;
      }
      at += steps;
      this.#came += steps;
      if (isLast) this.#next();
      if (isFed) await this.#states.count(steps, this.#session, this.#isAtBorder);
    }
    if (this.#broken !== undefined) throw this.#broken;
    return signal.aborted;
  }

  get #isAtBorder(): boolean {
    return this.#came % this.#together === 0;
  }

  /** Shows the last step if it was not; `name` is that of a source which ended. */
  end(name: string): void {
    this.#compiling[Symbol.dispose]();
    if (!this.#isFed && name !== "") {
      throw new RangeError(`Cannot use "${name}": it holds 0 numbers`);
    }
    if (this.#last !== undefined) this.#show(this.#last);
    if (this.#broken !== undefined) throw this.#broken;
    if (name === "" || this.#imageSteps === Infinity || this.#came === 0) return;
    this.#terminal.writeError(
      `Note: "${name}" ended inside an image, after ${this.#came} of ${this.#imageSteps} steps\n`,
    );
  }

  /** Steps up to the next one that is shown, or whose state is written. */
  #untilShown(): number {
    const { every } = this.#settings;
    const { position } = this.#session;
    const due = this.#states.due > 0 ? this.#states.due : Infinity;
    return Math.min(every - position % every, due);
  }

  async #step(values: Float32Array, steps: number, isLast: boolean): Promise<void> {
    const logits = steps === 1
      ? await this.#session.step(values)
      : await this.#session.prefill(values) ?? new Float32Array();
    this.#compiling[Symbol.dispose]();
    const result = classification(logits, this.#model.labels);
    const { every, confident } = this.#settings;
    this.#isSure = (result.probabilities[result.index] ?? 0) >= confident;
    const isShown = this.#session.position % every === 0 || isLast || this.#isSure;
    this.#last = isShown ? undefined : result;
    if (isShown) this.#show(result);
  }

  /** The next sequence begins. */
  #next(): void {
    this.#item++;
    this.#came = 0;
    this.#isSure = false;
    this.#session.reset();
  }

  #show({ label, index, probabilities }: Classification): void {
    const step = this.#session.position;
    const sure = this.#isSure ? true : undefined;
    if (this.#settings.isJson) {
      const item = this.#imageSteps === Infinity ? undefined : this.#item;
      const shown = { item, step, label, index, probabilities: [...probabilities], sure };
      return this.#write(`${JSON.stringify(shown)}\n`);
    }
    const all = [...probabilities].map((p) => p.toFixed(4)).join(" ");
    this.#write(`${step}\t${label}\t${all}${sure ? "\tsure" : ""}\n`);
  }

  /** Where nobody reads any more, the row of pixels that was begun is fed all the same: the state is to be of its end. */
  #write(line: string): void {
    if (this.#broken !== undefined) return;
    try {
      this.#terminal.write(line);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#broken = error;
    }
  }
}
