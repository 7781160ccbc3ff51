import { assertEquals } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import {
  GOLDEN_CLASSIFIERS,
  GOLDEN_LANGUAGE_MODELS,
  readGoldenConfig,
  readGoldenJson,
  readGoldenTensors,
  tensorData,
} from "../../golden_files.ts";
import { mambaModelFwd, type MambaOutput } from "../../../src/checks/reference/mamba.ts";
import {
  sampleDistribution,
  type SamplingSettings,
} from "../../../src/checks/reference/sampling.ts";

// The files hold float64 results rounded to f32, whose half unit is 6e-8 of the value.
const ROUNDED = { rtol: 1e-7, atol: 1e-9 };

/** The last row of a (steps, columns) matrix. */
function lastRow(matrix: Float64Array, columns: number): Float64Array {
  return matrix.subarray(matrix.length - columns);
}

for (const folder of [...GOLDEN_LANGUAGE_MODELS, ...GOLDEN_CLASSIFIERS]) {
  const load = () => {
    const config = readGoldenConfig(folder);
    const weights = tensorData(readGoldenTensors(folder, "model.safetensors"));
    return { config, weights, expected: readGoldenTensors(folder, "expected.safetensors") };
  };
  const isClassifier = GOLDEN_CLASSIFIERS.includes(folder);

  Deno.test(`mambaModelFwd() equals PyTorch in float64: ${folder}`, () => {
    const { config, weights, expected } = load();
    const data = tensorData(expected);
    const inputs = data.inputs ?? readGoldenJson<number[]>(folder, "ids.json");
    const batched = data.inputs_batch ??
      readGoldenJson<number[][]>(folder, "ids_batch.json").flat();
    const seqlen = expected.logits?.shape[0] ?? NaN;
    const output = mambaModelFwd(weights, config, inputs, { batch: 1, seqlen });

    const found: Record<string, Float64Array> = {
      logits: output.logits,
      logits_batch: mambaModelFwd(weights, config, batched, { batch: 2, seqlen: 17 }).logits,
      "norm_f.output": output.norm_f,
    };
    for (const [i, layer] of output.layers.entries()) found[`layers.${i}.output`] = layer;
    for (const [i, state] of output.state.layers.entries()) {
      found[`layers.${i}.conv_state`] = state.conv_state;
      found[`layers.${i}.ssm_state`] = state.ssm_state;
    }
    const given = isClassifier ? ["inputs", "inputs_batch"] : [];
    assertEquals([...Object.keys(found), ...given].sort(), Object.keys(data).sort());
    for (const [name, values] of Object.entries(found)) {
      assertClose(values, data[name] ?? [], { name: `${folder} ${name}`, ...ROUNDED });
    }
  });

  if (isClassifier) continue;
  Deno.test(`mambaModelFwd() continues with PyTorch's greedy tokens: ${folder}`, () => {
    const { config, weights } = load();
    const ids = readGoldenJson<number[]>(folder, "ids.json");
    const expected = readGoldenJson<number[]>(folder, "greedy.json");
    const columns = config.head.kind === "lm" ? config.head.vocab_size : NaN;
    const chosen: number[] = [];
    let step: MambaOutput = mambaModelFwd(weights, config, ids, {
      batch: 1,
      seqlen: ids.length,
    });
    while (chosen.length < expected.length) {
      const logits = lastRow(step.logits, columns);
      const id = logits.indexOf(Math.max(...logits));
      chosen.push(id);
      step = mambaModelFwd(weights, config, [id], { batch: 1, seqlen: 1 }, step.state);
    }
    assertEquals(chosen, expected);
  });
}

Deno.test("sampleDistribution() equals the filters of Hugging Face, one by one and together", () => {
  const cases = readGoldenJson<
    { settings: SamplingSettings; logits: number[]; seen: number[]; probabilities: number[] }[]
  >("sampling", "cases.json");
  for (const { settings, logits, seen, probabilities } of cases) {
    const name = JSON.stringify(settings);
    const found = sampleDistribution(logits, seen, settings, logits.length);
    assertClose(found, probabilities, { name, rtol: 1e-12, atol: 1e-15 });
  }
});
