// Run by constant_memory_test.ts with gc() exposed: what a session holds after 200 inputs and after 20,000, as JSON.
import { loadModel, type Model, type Session } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";

/** What is held at one point of a stream. */
export interface Held {
  readonly position: number;
  readonly deviceBytes: number;
  /** V8's heap, and what it knows of outside. */
  readonly hostBytes: number;
  /** The whole process: the driver, which here may keep GPU memory in it, and the allocators' reserves too. */
  readonly rssBytes: number;
}

/** How many tokens the longer calls of a round take. */
interface Round {
  readonly prefill: number;
  readonly steps: number;
  readonly draws: number;
}

/** Tokens consumed by the rest of a round, at most. */
const OTHERS = 120;

/**
 * Ids of a call that reads something of every position back: the same in all rounds, as a session keeps a buffer to
 * read through that is as large as the largest such call.
 */
const READ_BACK = 24;

/** Ids of no pattern. */
function idsOf(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (Math.imul(i + seed, 2654435761) >>> 8) % 256);
}

/** Every kind of call; the last one brings the session to position `end`, where that is given. */
async function runRound(session: Session, round: Round, end?: number): Promise<void> {
  const seed = session.position;
  // Lengths that did not come before: their programs push out those of the last round.
  const prefill = round.prefill + seed % 7;
  await session.prefill(idsOf(prefill, seed), { logits: "none" });
  for (const id of idsOf(round.steps, seed)) await session.step(id);
  await session.prefill(idsOf(READ_BACK, seed), { logits: "all" });
  // An end-of-sequence id ends generate() early.
  for (let left = round.draws; left > 0;) {
    for await (const _ of session.generate({ maxTokens: left })) left--;
  }
  // Left in the middle of a burst, where the session goes back.
  for await (const { position } of session.generate({ maxTokens: 30 })) {
    if (position % 7 === 0) break;
  }
  await session.score(idsOf(READ_BACK, seed));
  await session.score(idsOf(1, seed));
  await session.prefill(idsOf(end === undefined ? prefill + 1 : end - session.position, seed));
}

/** Runs whole rounds, and ends one at `position`. */
async function runTo(session: Session, position: number, round: Round): Promise<void> {
  const most = 2 * (round.prefill + 8) + round.steps + round.draws + OTHERS;
  while (session.position + 2 * most < position) await runRound(session, round);
  await runRound(session, round, position);
}

async function held(model: Model, session: Session): Promise<Held> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new TypeError("Cannot measure: run with --v8-flags=--expose-gc");
  // What the first collection finds dead has finalizers, which run in a later turn and let go of more.
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, rss } = Deno.memoryUsage();
  const { position } = session;
  return {
    position,
    deviceBytes: model.deviceBytes,
    hostBytes: heapUsed + external,
    rssBytes: rss,
  };
}

async function measure(model: Model): Promise<{ few: Held; many: Held }> {
  using session = model.createSession({ seed: 1 });
  await runTo(session, 200, { prefill: 30, steps: 4, draws: 30 });
  const few = await held(model, session);
  await runTo(session, 20_000, { prefill: 1200, steps: 30, draws: 150 });
  return { few, many: await held(model, session) };
}

const [backend = "webgpu"] = Deno.args;
const model = await loadModel(goldenPath("mamba1"), {
  backend: backend === "cpu" ? "cpu" : "webgpu",
});
const report = await measure(model);
model[Symbol.dispose]();
const line = JSON.stringify({ ...report, freedDeviceBytes: model.deviceBytes });
await Deno.stdout.write(new TextEncoder().encode(line));
