import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { loadWeights } from "../../src/engine/load_weights.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { parseConfig } from "../../src/model/config.ts";
import { weightSpecs } from "../../src/model/weights.ts";
import { initialise } from "../../src/train/initialise.ts";
import { shapeConfig, SHAPES } from "../../tools/bench/shapes.ts";
import { type StoredDType, writeRandomCheckpoint } from "../../tools/random_checkpoint.ts";
import { randomPieces } from "../../tools/random_tensor.ts";
import { defined } from "../defined.ts";
import { withGpu } from "../with_gpu.ts";

const TINY = shapeConfig("mamba-tiny");

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

Deno.test("randomPieces() has the spread that training begins with, tensor by tensor", () => {
  for (const [name, values] of initialise(TINY, 1)) {
    const spec = defined(weightSpecs(TINY).find((each) => each.name === name));
    const drawn = [...randomPieces(TINY, spec, 1)].flatMap((piece) => [...piece]);
    assertEquals(drawn.length, values.length, name);
    assert(drawn.every(Number.isFinite), name);
    const [got, expected] = [standardDeviation(drawn), standardDeviation(values)];
    assert(
      expected === 0 ? got === 0 : Math.abs(got / expected - 1) < 0.15,
      `${name}: ${got}, expected ${expected}`,
    );
  }
});

for (const dtype of ["F32", "F16", "BF16"] as StoredDType[]) {
  Deno.test(`writeRandomCheckpoint() writes a model in ${dtype} that loads and generates, in shards or not`, () =>
    inFolder(async (parent) => {
      const [whole, sharded] = [`${parent}/whole`, `${parent}/sharded`];
      const one = await writeRandomCheckpoint(whole, TINY, { dtype, seed: 3 });
      const many = await writeRandomCheckpoint(sharded, TINY, {
        dtype,
        seed: 3,
        shardBytes: 50_000,
      });
      assertEquals(one.files, ["model.safetensors"]);
      assert(many.files.length > 3);
      const ids: number[][] = [];
      for (const folder of [whole, sharded]) {
        using model = await loadModel(folder);
        assertEquals(model.config.n_layer, 2);
        const tokens = await Array.fromAsync(
          model.generate([1, 2, 3], { maxTokens: 20, temperature: 0 }),
        );
        ids.push(tokens.map(({ id }) => id));
        assert(tokens.every(({ logprob }) => Number.isFinite(logprob)));
      }
      assertEquals(ids[1], ids[0]);
      await assertRejects(
        () => writeRandomCheckpoint(whole, TINY, { dtype, seed: 3 }),
        Error,
        "expected an empty folder",
      );
    }));
}

Deno.test("shapeConfig() knows every shape it names", () => {
  for (const shape of SHAPES) assert(weightSpecs(shapeConfig(shape)).length > 0);
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
        const { loaded } = await loadWeights(gpu, config, checkpoint.tensors, {
          dtype,
          prefix: "",
          onProgress,
        });
        // deno-lint-ignore no-console -- the figures belong in the test output
        console.log(
          `${dtype}: ${loaded.sizeBytes} bytes on the GPU, ${peak} in host memory at most`,
        );
        assertEquals(gpu.live.sizeBytes - before, loaded.sizeBytes);
        assert(peak <= largest + 2 * PIECE_BYTES, `${peak} bytes, and the largest is ${largest}`);
        assertEquals(told.at(-1), totalBytes);
        assert(told.every((bytes, i) => bytes > (told[i - 1] ?? 0)));
        loaded[Symbol.dispose]();
        assertEquals(gpu.live.sizeBytes, before);
      }
      const controller = new AbortController();
      const load = loadWeights(gpu, config, checkpoint.tensors, {
        dtype: "int4",
        prefix: "",
        signal: controller.signal,
        onProgress: ({ loadedBytes }) => loadedBytes > totalBytes / 2 && controller.abort(),
      });
      await assertRejects(() => load, DOMException, "abort");
      assertEquals(gpu.live.sizeBytes, before);
    });
  }),
);
