/** Training and checks end with their signal at any await, and leave nothing running and nothing allocated. */

import { assert, assertEquals } from "@std/assert";
import { runChecks } from "../../mod.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { orderedSource, shuffledSource } from "../../src/train/batches.ts";
import { COMMON, type Task } from "../../src/train/task.ts";
import { textWindows } from "../../src/train/text_windows.ts";
import { train } from "../../src/train/train.ts";
import { countHeld, type Held } from "../count_held.ts";
import { sharedGpu } from "../with_gpu.ts";

/** Awaits after which the signal comes: of promises alone, and then of turns of the event loop. */
const MOMENTS = [
  ...[0, 1, 2, 3, 5, 8, 13, 21, 34, 55].map((microtasks) => ({ microtasks, turns: 0 })),
  ...[1, 2, 3, 5, 8, 13, 21].map((turns) => ({ microtasks: turns, turns })),
];

/** A text that repeats, and more steps than anybody waits for. */
function endlessTask(): Task {
  const ids = Uint32Array.from({ length: 700 }, (_, index) => (index * index + 3 * index) % 7);
  const defaults = {
    ...COMMON,
    ...{ learningRate: 1e-2, minimumLearningRate: 1e-3 },
    ...{ steps: 100_000, batchSize: 2, seqlen: 16, warmupSteps: 2, evaluateEvery: 3 },
  };
  const { seqlen, batchSize, seed } = defaults;
  const held = orderedSource(textWindows(ids.subarray(600), { seqlen }), { batchSize: 1 });
  return {
    name: "endless",
    config: parseConfig({
      ...{ d_model: 16, n_layer: 1, vocab_size: 7, ssm_cfg: {}, pad_vocab_size_multiple: 1 },
    }),
    train: shuffledSource(textWindows(ids.subarray(0, 600), { seqlen, seed }), { batchSize, seed }),
    validation: held,
    defaults,
    summary: "a text of 7 tokens",
  };
}

/** Calls that go on until their signal, and then end as they do. */
const CALLS: Readonly<
  Record<
    string,
    (options: {
      readonly backend: "webgpu" | "cpu";
      readonly device: GPUDevice | undefined;
      readonly threads: number | undefined;
      readonly signal: AbortSignal;
      readonly out: string;
    }) => AsyncIterable<unknown>
  >
> = {
  "train()": ({ out: _, ...options }) => train(endlessTask(), options),
  "train() with a folder": (options) => train(endlessTask(), { ...options, overwrite: true }),
  "runChecks()": async function* ({ out: _, ...options }) {
    // Some, again and again: all of them take minutes.
    for (;;) yield* runChecks({ ...options, kernels: ["rms_norm_fwd", "swiglu_fwd"] });
  },
};

for (const backend of ["webgpu", "cpu"] as const) {
  Deno.test(`an abort at any await of training and checks leaves nothing behind on ${backend}`, async () => {
    const device = backend === "webgpu" ? (await sharedGpu()).device : undefined;
    const threads = backend === "cpu" ? 2 : undefined;
    const held = countHeld(device);
    // What a device has once, for all that comes, is made by the first run.
    let kept: Held | undefined;
    let most = 0;
    const folder = await Deno.makeTempDir();
    try {
      for (const [name, call] of Object.entries(CALLS)) {
        for (const { microtasks, turns } of [{ microtasks: 9, turns: 9 }, ...MOMENTS]) {
          const moment = `${name} after ${microtasks} awaits and ${turns} turns`;
          const controller = new AbortController();
          const { signal } = controller;
          let given = 0;
          const under = (async () => {
            for await (
              const _ of call({ backend, device, threads, signal, out: `${folder}/run` })
            ) {
              given++;
              const { buffers, threads } = held();
              most = Math.max(most, buffers, threads);
            }
          })();
          const ended = under.then(() => "well", (error: unknown) => error);
          for (let i = 0; i < microtasks; i++) await undefined;
          for (let i = 0; i < turns; i++) await new Promise((go) => setTimeout(go, 0));
          const reason = new Error("enough");
          controller.abort(reason);
          const before = given;
          const end = await ended;
          // A run ends with a checkpoint, and is none to complain of; checks end with the signal's reason.
          assertEquals(end, name.startsWith("train") ? "well" : reason, moment);
          // What was computed already may be told still.
          assert(given <= before + 1, `${moment}: ${given} after ${before}`);
          kept ??= held();
          assertEquals(held(), kept, moment);
        }
      }
      assertEquals(kept, { buffers: device === undefined ? 0 : 2, threads: 0 });
      // Something was there to be left.
      assert(most > 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
