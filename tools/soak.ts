// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Steps a session for very long: memory must stay flat, and a twin that is resumed from a snapshot's bytes at every mark must
 * come to the same bits as the run that never stopped.
 *
 *     deno run -A --v8-flags=--expose-gc tools/soak.ts [--model PATH] [--backend NAME] [--steps N] [--marks N] [--threads N]
 *
 * --model    a checkpoint (default tests/golden/mamba1, the smallest that there is)
 * --backend  what runs it: cpu or webgpu (default cpu)
 * --steps    of the run; its twins make as many (default 1000000)
 * --marks    places where memory is looked at, and a twin ends and the next begins (default 20)
 * --threads  on the CPU (default 1: the model is small)
 *
 * With gc() exposed, what is garbage is not counted as memory.
 */

import { parseArgs } from "@std/cli/parse-args";
import { decodeSnapshot, encodeSnapshot, loadModel, type Model, type Session } from "../mod.ts";
import type { Backend } from "../src/model/executor.ts";
import { answerHelp } from "./help.ts";

const { gc } = globalThis as { gc?: () => void };

/** What {@linkcode soak} is told. */
export interface SoakOptions {
  readonly source: string;
  readonly backend: Backend;
  readonly steps: number;
  readonly marks: number;
  readonly threads: number;
  /** Is told at each mark. */
  readonly onMark?: (mark: SoakMark) => void;
}

/** What was found at a mark. */
export interface SoakMark {
  /** Steps so far. */
  readonly step: number;
  /** Of the device's memory: weights, states, and what calls work in. */
  readonly deviceBytes: number;
  /** Of the process. */
  readonly rssBytes: number;
  /** Of JavaScript's objects in it. */
  readonly heapBytes: number;
  /** Steps of the twin since the last mark whose logits had other bits. */
  readonly differing: number;
  /** Whether the twin's snapshot is the run's, byte by byte. */
  readonly isSame: boolean;
  /** Steps a second, of both together. */
  readonly stepsPerSecond: number;
}

/**
 * Steps a session and its twins.
 *
 * @returns What was found at each mark; at the first, everything that is made once is there.
 */
export async function soak(options: SoakOptions): Promise<readonly SoakMark[]> {
  const { source, backend, steps, marks, threads, onMark } = options;
  const model = await loadModel(source, { backend, threads });
  const session = model.createSession({ seed: 1 });
  let twin = model.createSession({ seed: 1 });
  const found: SoakMark[] = [];
  try {
    let step = 0;
    for (let mark = 1; mark <= marks; mark++) {
      const end = Math.round(steps * mark / marks);
      const begun = { step, at: performance.now() };
      let differing = 0;
      for (; step < end; step++) {
        const input = inputAt(model, step);
        const logits = await session.step(input);
        if (!sameBits(logits, await twin.step(input))) differing++;
      }
      const seconds = (performance.now() - begun.at) / 1000;
      const bytes = encodeSnapshot(await session.snapshot());
      const isSame = equalBytes(bytes, encodeSnapshot(await twin.snapshot()));
      twin[Symbol.dispose]();
      twin = await resumed(model, bytes);
      gc?.();
      found.push({
        ...{ step, differing, isSame, deviceBytes: model.deviceBytes },
        ...memory(),
        stepsPerSecond: 2 * (step - begun.step) / seconds,
      });
      const last = found.at(-1);
      if (last !== undefined) onMark?.(last);
    }
  } finally {
    twin[Symbol.dispose]();
    session[Symbol.dispose]();
    model[Symbol.dispose]();
  }
  return found;
}

function memory(): Pick<SoakMark, "rssBytes" | "heapBytes"> {
  const { rss, heapUsed } = Deno.memoryUsage();
  return { rssBytes: rss, heapBytes: heapUsed };
}

/** Inputs of no pattern that a model of any kind takes. */
function inputAt(
  { config: { input, real_vocab_size } }: Model,
  step: number,
): number | Float32Array {
  const hash = (i: number) => Math.imul(i + 1, 2654435761) >>> 8;
  if (input.kind === "embedding") return hash(step) % real_vocab_size;
  return Float32Array.from({ length: input.d_input }, (_, i) => Math.sin(hash(step + i)));
}

async function resumed(model: Model, bytes: Uint8Array<ArrayBuffer>): Promise<Session> {
  const session = model.createSession();
  session.restore(await decodeSnapshot(bytes));
  return session;
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const args = parseArgs(Deno.args, {
    string: ["model", "backend", "steps", "marks", "threads"],
    default: {
      ...{ model: "tests/golden/mamba1", backend: "cpu" },
      ...{ steps: "1000000", marks: "20", threads: "1" },
    },
  });
  const marks = await soak({
    source: args.model,
    backend: args.backend === "webgpu" ? "webgpu" : "cpu",
    steps: Number(args.steps),
    marks: Number(args.marks),
    threads: Number(args.threads),
    onMark: ({ step, deviceBytes, rssBytes, heapBytes, differing, isSame, stepsPerSecond }) =>
      console.log(
        `step ${step} | ${(rssBytes / 1e6).toFixed(1)} MB, ${
          (heapBytes / 1e6).toFixed(2)
        } MB of objects | ${deviceBytes} bytes on the device | ` +
          `${differing} steps of the twin differ, its state ${
            isSame ? "is the same" : "DIFFERS"
          } | ` +
          `${Math.round(stepsPerSecond)} steps/s`,
      ),
  });
  const [first] = marks;
  const last = marks.at(-1);
  const growth = (last?.rssBytes ?? 0) - (first?.rssBytes ?? 0);
  const isFlat = marks.every(({ deviceBytes }) => deviceBytes === first?.deviceBytes);
  const drifts = marks.filter(({ differing, isSame }) => differing > 0 || !isSame).length;
  console.log(
    `${drifts} of ${marks.length} marks drift; the device's memory ${
      isFlat ? "is flat" : "GROWS"
    }; ` +
      `the process grew by ${(growth / 1e6).toFixed(1)} MB since the first mark`,
  );
  if (drifts > 0 || !isFlat) Deno.exit(1);
}
