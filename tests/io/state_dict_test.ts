import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { stateDictPrefix, unwrapped } from "../../src/io/state_dict.ts";
import type { TensorFile } from "../../src/io/tensor_file.ts";

/** A file with tensors of these names, which reads each as its place among them. */
function fileOf(...names: string[]): TensorFile {
  const info = (name: string) => ({ name, dtype: "U8" as const, shape: [1], sizeBytes: 1 });
  return {
    name: "x.bin",
    tensors: new Map(names.map((name) => [name, info(name)])),
    metadata: new Map([["epoch", "3"]]),
    read: (name) => Promise.resolve(Uint8Array.of(names.indexOf(name))),
    [Symbol.dispose]() {},
  };
}

const BLOCK = "backbone.layers.0.norm.weight";

Deno.test("stateDictPrefix() finds a model by its blocks, whatever a trainer called it", () => {
  const prefix = (...names: string[]) => stateDictPrefix(fileOf(...names));
  assertEquals(prefix("backbone.embeddings.weight", BLOCK, "step"), "");
  assertEquals(prefix("layers.0.norm.weight", "embeddings.weight"), "");
  assertEquals(prefix(`net.${BLOCK}`, "net.lm_head.weight", "accuracy"), "net.");
  assertEquals(prefix(`state_dict.model.${BLOCK}`, "state_dict.loss.weight"), "state_dict.model.");
  assertEquals(prefix("model.layers.11.mixer.D", "best_val_loss"), "model.");
  assertEquals(prefix(`0.${BLOCK}`, "1.state.0.exp_avg"), "0.");
});

Deno.test("stateDictPrefix() takes the model rather than a trainer's copy of it, and never one of two", () => {
  const prefix = (...names: string[]) => stateDictPrefix(fileOf(...names));
  assertEquals(prefix(`ema.${BLOCK}`, `net.${BLOCK}`), "net.");
  assertEquals(prefix(`model_ema.${BLOCK}`, `state_dict.net.${BLOCK}`), "state_dict.net.");
  assertEquals(prefix(`ema.${BLOCK}`), "ema.");
  assertEquals(prefix(`best.${BLOCK}`, `model_state_dict.${BLOCK}`), "model_state_dict.");
  assertThrows(() => prefix(`student.${BLOCK}`, `teacher.${BLOCK}`), TypeError, '"teacher."');
});

Deno.test("stateDictPrefix() takes model. for a dict only beside a trainer's own entries", () => {
  const prefix = (...names: string[]) => stateDictPrefix(fileOf(...names));
  assertEquals(prefix("model.w"), "model.");
  assertEquals(prefix("model.w", "optimizer.state.0.m"), "model.");
  assertEquals(prefix("model.w", "lm_head.weight"), "");
  assertEquals(prefix("backbone.w"), "");
  assertEquals(prefix("state_dict.w", "other.x"), "state_dict.");
});

Deno.test("unwrapped() leaves out what wrappers add to names, in any order and at any depth", async () => {
  using file = unwrapped(fileOf(
    "module._orig_mod.backbone.a",
    "_orig_mod.module.backbone.b",
    "state_dict._forward_module.net.layers.0._fsdp_wrapped_module.norm.weight",
    "my_module.c",
  ));
  assertEquals([...file.tensors.keys()], [
    "backbone.a",
    "backbone.b",
    "state_dict.net.layers.0.norm.weight",
    "my_module.c",
  ]);
  assertEquals(file.tensors.get("backbone.b")?.name, "backbone.b");
  assertEquals(await file.read("backbone.b"), Uint8Array.of(1));
  assertEquals(file.metadata.get("epoch"), "3");
});

Deno.test("unwrapped() keeps all names where two would become one, or none has a wrapper", () => {
  const both = fileOf("module.a", "a"), none = fileOf("a", "b");
  assertStrictEquals(unwrapped(both), both);
  assertStrictEquals(unwrapped(none), none);
});
