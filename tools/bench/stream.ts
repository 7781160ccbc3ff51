/**
 * `bench stream`: how `infer.ts` keeps up with what is written to its stdin, and what memory it takes meanwhile.
 *
 * --model      a language model with a tokenizer, whose command scores a text without an end (default tests/golden/mamba1)
 * --megabytes  of text (default 20), as fast as they are taken
 * --classifier a classifier of numbers, whose command names the stream after each (default weights/mnist)
 * --numbers    that are written to it (default 20)
 * --pause      between two of them, in milliseconds (default 1000)
 * --threads    on the CPU, which is what runs both (default 1)
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Result, round } from "./result.ts";

const PROGRAM = new URL("../../infer.ts", import.meta.url).pathname;

/** Text that is written at once: as much as a pipe holds. */
const PIECE = new TextEncoder().encode("a line of text\n".repeat(4096));

/** What runs both. */
const DEVICE = "the CPU, by infer.ts";

/** How often a process is asked for its memory. */
const LOOK_EVERY_MS = 2000;

/** Runs the benchmark. */
export async function* stream(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["model", "megabytes", "classifier", "numbers", "pause", "threads"],
    default: {
      ...{ model: "tests/golden/mamba1", megabytes: "20", threads: "1" },
      ...{ classifier: "weights/mnist", numbers: "20", pause: "1000" },
    },
  });
  const { model, classifier, threads } = options;
  const answers = await answerTimes(
    ["classify", classifier, "-", "--stream", "--backend", "cpu", "--threads", threads],
    { count: Number(options.numbers), pauseMs: Number(options.pause) },
  );
  const sorted = answers.toSorted((a, b) => a - b);
  yield {
    ...{ bench: "stream", device: DEVICE, what: "a number to its line" },
    model: classifier,
    numbers: answers.length,
    medianMs: round(sorted[sorted.length >> 1] ?? NaN, 1),
    longestMs: round(sorted.at(-1) ?? NaN, 1),
  };
  const { seconds, rssMegabytes } = await pour(
    ["score", model, "-", "--summary", "--backend", "cpu", "--threads", threads],
    Number(options.megabytes) * 1e6,
  );
  yield {
    ...{ bench: "stream", device: DEVICE, what: "text without an end" },
    model,
    megabytes: Number(options.megabytes),
    bytesPerSecond: Math.round(Number(options.megabytes) * 1e6 / seconds),
    rssMegabytes: rssMegabytes.map((value) => round(value, 1)),
  };
}

function start(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", PROGRAM, ...args],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  }).spawn();
}

/** Times from a number to its line. The first one, which finds the command still loading, is none of them. */
async function answerTimes(
  args: readonly string[],
  { count, pauseMs }: { readonly count: number; readonly pauseMs: number },
): Promise<number[]> {
  const child = start(args);
  const writer = child.stdin.getWriter(), reader = child.stdout.getReader();
  const times: number[] = [];
  for (let i = 0; i <= count; i++) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const began = performance.now();
    await writer.write(new TextEncoder().encode(`${i * 37 % 256}\n`));
    // A line is written at once, and nothing else comes.
    if ((await reader.read()).done) throw new Error(`Cannot time ${args[0]}: it ended`);
    if (i > 0) times.push(performance.now() - began);
  }
  await writer.close();
  while (!(await reader.read()).done);
  await child.status;
  return times;
}

/** Writes a text as fast as it is read, and looks at the process meanwhile. */
async function pour(
  args: readonly string[],
  sizeBytes: number,
): Promise<{ readonly seconds: number; readonly rssMegabytes: readonly number[] }> {
  const child = start(args);
  const writer = child.stdin.getWriter();
  const out = new Response(child.stdout).text();
  const rssMegabytes: number[] = [];
  let began = NaN, lookedAt = 0;
  for (let left = sizeBytes; left > 0; left -= PIECE.length) {
    await writer.write(PIECE.subarray(0, left));
    // What comes before the pipe is full is the command's start.
    if (left < sizeBytes - 2 * PIECE.length && Number.isNaN(began)) began = performance.now();
    if (Number.isNaN(began) || performance.now() - lookedAt < LOOK_EVERY_MS) continue;
    lookedAt = performance.now();
    rssMegabytes.push(await rssOf(child.pid));
  }
  await writer.close();
  await out;
  const { code } = await child.status;
  if (code !== 0) throw new Error(`Cannot time ${args[0]}: it ended with ${code}`);
  return { seconds: (performance.now() - began) / 1000, rssMegabytes };
}

/** Memory of a process, as Linux and macOS tell it. */
async function rssOf(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", `${pid}`] })
    .output();
  return Number(new TextDecoder().decode(stdout)) * 1024 / 1e6;
}
