import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { loadWeights } from "../../src/engine/load_weights.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { parseConfig, toHfConfig } from "../../src/model/config/config.ts";
import { stateBytes } from "../../src/model/state_layout.ts";
import { planLoad } from "../../src/model/weights/load_plan.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { initialise } from "../../src/train/initialise.ts";
import { shapeConfig, SHAPES } from "../../tools/bench/shapes.ts";
import { type StoredDType, writeRandomCheckpoint } from "../../tools/random_checkpoint.ts";
import { WebGpuWeightSink } from "../../src/webgpu/weight_sink.ts";
import { randomPieces } from "../../tools/random_tensor.ts";
import { OFFSET_ALIGNMENT } from "../../src/gpu/tensor.ts";
import { defined } from "../defined.ts";
import { withGpu } from "../with_gpu.ts";

const TINY = ["mamba-tiny", "mamba2-tiny", "s4d-tiny", "s4-tiny"].map(shapeConfig);

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function standardDeviation(values: ArrayLike<number>): number {
  const numbers = Array.from(values);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  return Math.sqrt(numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length);
}

for (const config of TINY) {
  Deno.test(`randomPieces() has the spread that training begins with, tensor by tensor: ${config.model_type}`, () => {
    for (const [name, values] of initialise(config, 1)) {
      const spec = defined(weightSpecs(config).find((each) => each.name === name));
      const drawn = [...randomPieces(config, spec, 1)].flatMap((piece) => [...piece]);
      assertEquals(drawn.length, values.length, name);
      assert(drawn.every(Number.isFinite), name);
      // A tensor of few values, one a head, says little of its spread.
      if (values.length < 16) continue;
      const [got, expected] = [standardDeviation(drawn), standardDeviation(values)];
      assert(
        expected === 0 ? got === 0 : Math.abs(got / expected - 1) < 0.15,
        `${name}: ${got}, expected ${expected}`,
      );
    }
  });

  for (const dtype of ["F32", "F16", "BF16"] as StoredDType[]) {
    Deno.test(`writeRandomCheckpoint() writes a ${config.model_type} in ${dtype} that generates, in shards or not`, () =>
      inFolder(async (parent) => {
        const [whole, sharded] = [`${parent}/whole`, `${parent}/sharded`];
        const options = { dtype, seed: 3 };
        const one = await writeRandomCheckpoint(whole, config, options);
        const many = await writeRandomCheckpoint(sharded, config, {
          ...options,
          shardBytes: 50_000,
        });
        assertEquals(one.files, ["model.safetensors"]);
        assert(many.files.length > 3);
        const ids: number[][] = [];
        for (const folder of [whole, sharded]) {
          using model = await loadModel(folder);
          assertEquals(model.config, { ...config });
          const tokens = await Array.fromAsync(
            model.generate([1, 2, 3], { maxTokens: 20, temperature: 0 }),
          );
          ids.push(tokens.map(({ id }) => id));
          assert(tokens.every(({ logprob }) => Number.isFinite(logprob)));
        }
        assertEquals(ids[1], ids[0]);
        await assertRejects(
          () => writeRandomCheckpoint(whole, config, options),
          Error,
          "expected an empty folder",
        );
      }));
  }
}

Deno.test("shapeConfig() has the published models' tensors and states, and their config.json says the same", () => {
  const shapes: [string, string, number[]][] = [
    ["mamba-130m", "backbone.embeddings.weight", [50280, 768]],
    ["mamba-130m", "backbone.layers.23.mixer.in_proj.weight", [3072, 768]],
    ["mamba-130m", "backbone.layers.23.mixer.x_proj.weight", [80, 1536]],
    ["mamba2-130m", "backbone.embeddings.weight", [50288, 768]],
    ["mamba2-130m", "backbone.layers.23.mixer.in_proj.weight", [3352, 768]],
    ["mamba2-2.7b", "backbone.layers.63.mixer.in_proj.weight", [10576, 2560]],
    ["mamba2-2.7b", "backbone.layers.63.mixer.conv1d.weight", [5376, 1, 4]],
    ["falcon-mamba-7b", "lm_head.weight", [65024, 4096]],
    ["codestral-mamba-7b", "lm_head.weight", [32768, 4096]],
  ];
  for (const [shape, name, expected] of shapes) {
    const specs = weightSpecs(shapeConfig(shape));
    assertEquals(specs.find((spec) => spec.name === name)?.shape, expected, `${shape} ${name}`);
  }
  const states: Record<string, number> = {
    "mamba-130m": 24 * 1536 * 20 * 4,
    "mamba-370m": 48 * 2048 * 20 * 4,
    "mamba-2.8b": 64 * 5120 * 20 * 4,
    "mamba2-130m": 24 * (1792 * 4 + 1536 * 128) * 4,
    "mamba2-2.7b": 64 * (5376 * 4 + 5120 * 128) * 4,
    "falcon-mamba-7b": 64 * 8192 * 20 * 4,
  };
  for (const [shape, bytes] of Object.entries(states)) {
    assertEquals(stateBytes(shapeConfig(shape)), bytes, shape);
  }
  for (const shape of SHAPES) {
    assertEquals(parseConfig(toHfConfig(shapeConfig(shape))), shapeConfig(shape), shape);
  }
});

/** Bytes that are read at once: see load_weights.ts. */
const PIECE_BYTES = 16 * 2 ** 20;

Deno.test(
  "loadWeights() of a 130m shape holds no more than the largest tensor and two pieces, and frees all when aborted",
  withGpu(async (gpu) => {
    await inFolder(async (parent) => {
      const folder = `${parent}/130m`;
      const shape = shapeConfig("mamba-130m");
      const { files, totalBytes } = await writeRandomCheckpoint(folder, shape, {
        dtype: "F16",
        seed: 1,
        shardBytes: 1e8,
      });
      assertEquals(files.length, 4);
      using checkpoint = await openCheckpoint(folder);
      const config = parseConfig(checkpoint.config);
      const largest = Math.max(
        ...[...checkpoint.tensors.tensors.values()].map(({ sizeBytes }) => sizeBytes),
      );
      const before = gpu.live.sizeBytes;
      // Everything of a piece is there when it is handed to the queue.
      const { queue } = gpu.device;
      const writeBuffer = queue.writeBuffer.bind(queue);
      let sample = (): void => {};
      using _restored = {
        [Symbol.dispose]: () => Reflect.deleteProperty(queue, "writeBuffer"),
      };
      queue.writeBuffer = (...args) => {
        sample();
        writeBuffer(...args);
      };
      for (const dtype of ["auto", "int8", "int4"] as const) {
        const start = Deno.memoryUsage().external;
        let peak = 0;
        const told: number[] = [];
        sample = () => peak = Math.max(peak, Deno.memoryUsage().external - start);
        const onProgress = ({ loadedBytes }: { loadedBytes: number }) => told.push(loadedBytes);
        const plan = planLoad(config, checkpoint.tensors, { dtype, prefix: "" });
        const sink = new WebGpuWeightSink(gpu);
        await loadWeights(sink, plan, checkpoint.tensors, { onProgress });
        // deno-lint-ignore no-console -- the figures belong in the test output
        console.log(
          `${dtype}: ${plan.weightBytes} bytes on the GPU, ${peak} in host memory at most`,
        );
        // Each weight begins where a binding may.
        const padding = gpu.live.sizeBytes - before - plan.weightBytes;
        assert(padding >= 0 && padding < OFFSET_ALIGNMENT * plan.weights.length, `${padding}`);
        assert(peak <= largest + 2 * PIECE_BYTES, `${peak} bytes, and the largest is ${largest}`);
        assertEquals(told.at(-1), totalBytes);
        assert(told.every((bytes, i) => bytes > (told[i - 1] ?? 0)));
        sink[Symbol.dispose]();
        assertEquals(gpu.live.sizeBytes, before);
      }
      const controller = new AbortController();
      const sink = new WebGpuWeightSink(gpu);
      const plan = planLoad(config, checkpoint.tensors, { dtype: "int4", prefix: "" });
      const load = loadWeights(sink, plan, checkpoint.tensors, {
        signal: controller.signal,
        onProgress: ({ loadedBytes }) => loadedBytes > totalBytes / 2 && controller.abort(),
      });
      await assertRejects(() => load, DOMException, "abort");
      sink[Symbol.dispose]();
      assertEquals(gpu.live.sizeBytes, before);
    });
  }),
);
