import { assert, assertEquals } from "@std/assert";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

eachBackend(
  "classify() goes on with the last call's state from zero, and keeps one",
  async (loadModel) => {
    using model = await loadModel(goldenPath("classifier"));
    const inputs = (seqlen: number) =>
      Float32Array.from({ length: 3 * seqlen }, (_, i) => Math.sin(i));
    const first = await model.classify(inputs(40));
    const { deviceBytes } = model;
    const other = await model.classify(inputs(7));
    assert(other.probabilities.some((p, n) => p !== first.probabilities[n]));
    assertEquals(await model.classify(inputs(40)), first);
    const both = await model.classifyBatch(Float32Array.of(...inputs(40), ...inputs(40)), 2);
    assertEquals(both.map(({ index }) => index), [first.index, first.index]);
    const together = await Promise.all([1, 2, 3].map(() => model.classify(inputs(40))));
    assertEquals(together, [first, first, first]);
    assert(model.deviceBytes < deviceBytes + 4 * model.stateBytes + 2 ** 22, "states are left");
  },
);

eachBackend(
  "a state that is given back to a model that is disposed goes with it",
  async (loadModel) => {
    const model = await loadModel(goldenPath("classifier"));
    const call = model.classify(new Float32Array(3 * 40)).then(
      () => "ended",
      (e: Error) => e.message,
    );
    model[Symbol.dispose]();
    assert(["ended", "Cannot classify: the model is disposed"].includes(await call));
    assertEquals(model.deviceBytes, 0);
  },
);
