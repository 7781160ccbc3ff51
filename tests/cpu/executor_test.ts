import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";

/** Takes some seconds. */
const LONG = Array.from({ length: 100_000 }, (_, index) => (index * 7 + 1) % 256);

Deno.test("a long prefill lets timers run, and ends where its session or its model is freed", async () => {
  const model = await loadModel(goldenPath("mamba1"), { backend: "cpu" });
  using other = model.createSession();
  const expected = await other.prefill([1, 2, 3]);
  const session = model.createSession();
  const pieces: number[] = [];
  const first = session.prefill(LONG, { onProgress: (inputs) => pieces.push(inputs) });
  setTimeout(() => session[Symbol.dispose](), 10);
  await assertRejects(() => first, TypeError, "Cannot prefill: the session is disposed");
  assert((pieces.at(-1) ?? Infinity) < LONG.length, "the timer came after the prefill");
  // What another has in that memory by now is as it was.
  other.reset();
  assertEquals(await other.prefill([1, 2, 3]), expected);
  const second = other.prefill(LONG);
  setTimeout(() => model[Symbol.dispose](), 10);
  await assertRejects(() => second, TypeError, "Cannot prefill: the model is disposed");
  other[Symbol.dispose]();
  assertEquals(model.deviceBytes, 0);
});

Deno.test("a model on the CPU asks for no adapter, and says what runs it", async () => {
  const { requestAdapter } = navigator.gpu;
  let asked = 0;
  navigator.gpu.requestAdapter = () => {
    asked += 1;
    return Promise.resolve(null);
  };
  try {
    using model = await loadModel(goldenPath("mamba1"), { backend: "cpu" });
    assertEquals([asked, model.backend, model.deviceNote], [0, "cpu", undefined]);
    using chosen = await loadModel(goldenPath("mamba1"));
    assertEquals([asked, chosen.backend, chosen.deviceNote], [1, "cpu", "as there is no GPU"]);
  } finally {
    navigator.gpu.requestAdapter = requestAdapter;
  }
});
