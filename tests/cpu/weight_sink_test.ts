import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { defaultThreads } from "../../src/cpu/machine/default_threads.ts";
import { requireRoom } from "../../src/cpu/memory_needs.ts";
import { openWeightSink } from "../../src/cpu/weight_sink.ts";
import { isQuantized, type MatrixDType } from "../../src/model/weights/dtype.ts";
import type { LoadPlan } from "../../src/model/weights/load_plan.ts";
import { mamba1 } from "../../src/model/mixers/mamba1.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";

/** A plan of a model of the published sizes of Mamba-1, with its matrices in one type. */
function planOf(d_model: number, n_layer: number, dtype: MatrixDType): LoadPlan {
  const config = mamba1.newConfig({
    ...{ d_model, n_layer, d_state: 16, d_conv: 4, expand: 2, norm_epsilon: 1e-5 },
    ...{ real_vocab_size: 50280, eos_token_ids: [0] },
    input: { kind: "embedding", vocab_size: 50280 },
    head: { kind: "lm", vocab_size: 50280, tied: true },
  });
  const weights = weightSpecs(config).map((spec) => {
    const own = spec.neverQuantized && isQuantized(dtype) ? "f16" : dtype;
    return { spec, dtype: spec.kind === "vector" ? "f32" : own, sizeBytes: 0 } as const;
  });
  const nothing = { tensors: [], tiedHead: undefined, weightBytes: 0, storedBytes: 0 };
  return { name: "large", config, weights, ...nothing };
}

Deno.test("a model beyond 4 GiB is refused before it is allocated, with the type that would fit", () => {
  const refused: [number, number, MatrixDType, string][] = [
    // mamba-1.4b: 1.37e9 parameters.
    [2048, 48, "f32", "Load the weights as f16"],
    // mamba-2.8b.
    [2560, 64, "f16", "Load the weights as int8"],
    [4096, 48, "bf16", "Load the weights as int4"],
    // falcon-mamba-7b.
    [4096, 64, "int4", "Use a GPU, or a smaller model"],
  ];
  for (const [d_model, n_layer, dtype, advice] of refused) {
    const error = assertThrows(() => requireRoom(planOf(d_model, n_layer, dtype)), RangeError);
    assertEquals(error.message.slice(-advice.length), advice);
  }
  requireRoom(planOf(2048, 48, "f16"));
  requireRoom(planOf(2560, 64, "int8"));
  requireRoom(planOf(4096, 48, "int4"));
});

Deno.test("openWeightSink() gives back what it holds where loading ends early", async () => {
  const sink = await openWeightSink();
  await assertRejects(() => sink.finish(), TypeError, "Cannot run a model without weights");
  await assertRejects(
    () => sink.allocate(planOf(8192, 96, "f32")),
    RangeError,
    "the CPU executor reaches ",
  );
  sink[Symbol.dispose]();
  assertEquals(defaultThreads() >= 1, true);
});
