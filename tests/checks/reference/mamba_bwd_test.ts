import { assertEquals } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { ODD, smallModel } from "../../../src/checks/cases.ts";
import { tensorData } from "../../golden_files.ts";
import {
  GOLDEN_TRAINED,
  type GoldenTraining,
  isDecayed,
  readGoldenTraining,
} from "../../golden_training.ts";
import { Random } from "../../../src/checks/random.ts";
import { adamwUpdate } from "../../../src/checks/reference/adamw_update.ts";
import { assertGradients, weightedSum } from "./central_differences.ts";
import { crossEntropy } from "../../../src/checks/reference/cross_entropy.ts";
import { clipFactor, globalNorm } from "../../../src/checks/reference/global_norm.ts";
import {
  type BlockState,
  mambaModelFwd,
  type MambaWeights,
} from "../../../src/checks/reference/mamba.ts";
import { mambaModelBwd } from "../../../src/checks/reference/mamba_bwd.ts";

// The files hold float64 results rounded to f32, whose half unit is 6e-8 of the value; gradients
// below the smallest normal f32 lose more.
const ROUNDED = { rtol: 1e-7, atol: 1e-12 };

// Of the ten steps that the files have: with three, both averages and their corrections have moved.
const STEPS = 3;

/** The mean cross-entropy of a golden batch, and its gradients. */
function lossAndGradients(
  { config, inputs, batch, seqlen, targets, targetCount }: GoldenTraining,
  weights: MambaWeights,
) {
  const { logits } = mambaModelFwd(weights, config, inputs, { batch, seqlen });
  const shape = { rows: batch * seqlen, columns: logits.length / (batch * seqlen) };
  const { loss, grad_logits } = crossEntropy(logits, targets, shape, 1 / targetCount);
  const { gradients } = mambaModelBwd(weights, config, inputs, grad_logits, { batch, seqlen });
  return { loss: loss.reduce((a, b) => a + b) / targetCount, gradients };
}

for (const folder of GOLDEN_TRAINED) {
  Deno.test(`mambaModelBwd() equals PyTorch's gradients in float64: ${folder}`, () => {
    const golden = readGoldenTraining(folder);
    const { loss, gradients } = lossAndGradients(golden, tensorData(golden.weights));
    assertClose([loss], [golden.loss], { name: "loss", ...ROUNDED });
    assertEquals(Object.keys(gradients).sort(), Object.keys(golden.gradients).sort());
    assertEquals(Object.keys(gradients).sort(), Object.keys(golden.weights).sort());
    for (const [name, gradient] of Object.entries(gradients)) {
      assertEquals(golden.gradients[name]?.shape, golden.weights[name]?.shape);
      assertClose(gradient, golden.gradients[name]?.data ?? [], { name, ...ROUNDED });
    }
  });

  for (const run of ["plain", "clipped"] as const) {
    Deno.test(`adamwUpdate() takes the steps that PyTorch takes: ${folder}, ${run}`, () => {
      const golden = readGoldenTraining(folder);
      const { lr, betas: [beta1, beta2], eps, weight_decay, max_norm } = golden.settings;
      let tensors = Object.entries(golden.weights).map(([name, { data }]) => ({
        name,
        weight: Float64Array.from(data),
        m: new Float64Array(data.length),
        v: new Float64Array(data.length),
      }));
      const found: { losses: number[]; norms: number[] } = { losses: [], norms: [] };
      for (let step = 1; step <= STEPS; step++) {
        const weights = Object.fromEntries(tensors.map(({ name, weight }) => [name, weight]));
        const { loss, gradients } = lossAndGradients(golden, weights);
        const norm = globalNorm(Object.values(gradients));
        found.losses.push(loss);
        found.norms.push(norm);
        tensors = tensors.map(({ name, ...own }) => ({
          name,
          ...adamwUpdate({ ...own, grad: gradients[name] ?? [] }, {
            step,
            learningRate: lr,
            beta1,
            beta2,
            epsilon: eps,
            weightDecay: isDecayed(name) ? weight_decay : 0,
            clipFactor: run === "clipped" ? clipFactor(norm, max_norm) : 1,
          }),
        }));
      }
      // Sums in another order; an AdamW step enlarges what rounding leaves of tiny gradients.
      const limits = { rtol: 1e-9, atol: 1e-9 };
      assertClose(found.losses, golden[run].losses.slice(0, STEPS), { name: "losses", ...limits });
      assertClose(found.norms, golden[run].norms.slice(0, STEPS), { name: "norms", ...limits });
    });
  }
}

const TINY = { ...ODD, vocab_size: 5, d_model: 4, d_inner: 6, d_state: 3, dt_rank: 2 };

for (
  const { name, config } of [
    { name: "tied, no biases", config: smallModel(TINY, { use_conv_bias: false }) },
    {
      name: "classifier on the mean, all biases",
      config: smallModel(TINY, {
        use_bias: true,
        input: { kind: "linear", d_input: 2, bias: true },
        head: { kind: "classifier", n_classes: 3, pool: "mean", bias: true },
      }),
    },
  ]
) {
  Deno.test(`mambaModelBwd() is the gradient of mambaModelFwd(), states included: ${name}`, () => {
    const random = new Random(5);
    const normal = (length: number) => Float64Array.from(random.normal(length));
    const { batch, seqlen } = { batch: 2, seqlen: 3 };
    const { d_inner, d_conv, d_state, d_model, input, head } = config;
    const inputs = input.kind === "embedding" ? random.ids(6, input.vocab_size) : normal(12);
    const layerState = (): BlockState => ({
      conv_state: normal(batch * d_inner * d_conv),
      ssm_state: normal(batch * d_inner * d_state),
    });
    const pool = { sum: normal(batch * d_model), count: 2 };
    const state = { layers: [layerState(), layerState()], pool };
    const grad_final_state = [layerState(), layerState()];
    const columns = head.kind === "lm" ? head.vocab_size : head.n_classes;
    const grad_logits = normal(batch * seqlen * columns);

    const weights = Object.fromEntries(
      Object.entries(random.mambaWeights(config)).map(([key, v]) => [key, Float64Array.from(v)]),
    );
    const stateOf = (layers: readonly BlockState[]): Record<string, Float64Array> =>
      Object.fromEntries(
        layers.flatMap((layer, i) =>
          Object.entries<Float64Array>({ ...layer }).map((
            [key, values],
          ) => [`layers.${i}.${key}`, values])
        ),
      );
    const variables: Record<string, Float64Array> = { ...weights, ...stateOf(state.layers) };
    const { gradients, grad_state } = mambaModelBwd(
      weights,
      config,
      inputs,
      grad_logits,
      { batch, seqlen },
      state,
      grad_final_state,
    );
    const found = Object.entries({ ...gradients, ...stateOf(grad_state) });
    assertGradients(
      variables,
      Object.fromEntries(found.map(([key, gradient]) => [`grad_${key}`, gradient])),
      (moved) => {
        const layers = state.layers.map((_, i) => ({
          conv_state: moved[`layers.${i}.conv_state`] ?? new Float64Array(),
          ssm_state: moved[`layers.${i}.ssm_state`] ?? new Float64Array(),
        }));
        const output = mambaModelFwd(moved, config, inputs, { batch, seqlen }, { layers, pool });
        return output.state.layers.reduce(
          (total, layer, i) =>
            total + weightedSum(layer.conv_state, grad_final_state[i]?.conv_state ?? []) +
            weightedSum(layer.ssm_state, grad_final_state[i]?.ssm_state ?? []),
          weightedSum(output.logits, grad_logits),
        );
      },
    );
  });
}
