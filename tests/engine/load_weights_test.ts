import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadWeights } from "../../src/engine/load_weights.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import type { TensorFile, TensorInfo } from "../../src/io/tensor_file.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { planLoad, type WeightDType } from "../../src/model/weights/load_plan.ts";
import { weightBytes, weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { requireRoom, withinMemory } from "../../src/webgpu/device_memory.ts";
import { WebGpuWeightSink } from "../../src/webgpu/weight_sink.ts";
import { goldenPath } from "../golden_files.ts";
import { withGpu } from "../with_gpu.ts";

const CONFIG = parseConfig({ d_model: 64, n_layer: 2, vocab_size: 256, ssm_cfg: {} });

/** A file that has every tensor of a model, and fails the test when one is read. */
function unreadable(config: typeof CONFIG): TensorFile {
  const tensors = weightSpecs(config).map(({ name, shape }): TensorInfo => {
    const sizeBytes = shape.reduce((product, size) => product * size, 4);
    return { name, dtype: "F32", shape, sizeBytes };
  });
  return {
    name: "huge.safetensors",
    tensors: new Map(tensors.map((info) => [info.name, info])),
    metadata: new Map(),
    read: (name) => Promise.reject(new Error(`"${name}" was read`)),
    [Symbol.dispose]() {},
  };
}

/** The same object but for some members. Methods run on the object itself: platform objects refuse a proxy. */
function withMembers<T extends object>(object: T, members: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(object, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The GPU with other limits than its own. */
function withLimits(gpu: Gpu, limits: Partial<Record<keyof GPUSupportedLimits, number>>): Gpu {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const all = { maxBufferSize, maxStorageBufferBindingSize, ...limits };
  return withMembers(gpu, { device: withMembers(gpu.device, { limits: all }) });
}

Deno.test(
  "loadWeights() frees everything when it is aborted at any piece, or its reader is",
  withGpu(async (gpu) => {
    using checkpoint = await openCheckpoint(goldenPath("mamba1"));
    const config = parseConfig(checkpoint.config);
    const dtypes: WeightDType[] = ["auto", "int4"];
    for (const dtype of dtypes) {
      for (let pieces = 1; pieces <= 22; pieces += 3) {
        const before = gpu.live.sizeBytes;
        const controller = new AbortController();
        const reason = new DOMException("enough", "AbortError");
        let told = 0;
        using sink = new WebGpuWeightSink(gpu);
        const plan = planLoad(config, checkpoint.tensors, { dtype, prefix: "" });
        const load = loadWeights(sink, plan, checkpoint.tensors, {
          signal: controller.signal,
          onProgress: () => ++told === pieces && controller.abort(reason),
        });
        if (pieces === 22) {
          // The last piece has been read: there is nothing left to stop.
          await load;
          using executor = await sink.finish();
          assertEquals(gpu.live.sizeBytes - before >= executor.weightBytes, true);
        } else {
          assertEquals(await assertRejects(() => load), reason);
          assertEquals(told, pieces);
          sink[Symbol.dispose]();
        }
        assertEquals(gpu.live.sizeBytes, before);
      }
    }
  }),
);

Deno.test(
  "loadWeights() allocates all before it reads, and refuses rows past a binding before that",
  withGpu(async (gpu) => {
    const before = gpu.live.sizeBytes;
    const file = unreadable(CONFIG);
    const plan = planLoad(CONFIG, file, { dtype: "f32", prefix: "" });
    let allocated = 0;
    const watched = {
      ...file,
      read: (name: string) => {
        allocated = gpu.live.sizeBytes - before;
        return file.read(name);
      },
    };
    const sink = new WebGpuWeightSink(gpu);
    await assertRejects(() => loadWeights(sink, plan, watched), Error, "was read");
    assertEquals(allocated >= weightBytes(CONFIG, "f32"), true);
    sink[Symbol.dispose]();
    const narrow = new WebGpuWeightSink(withLimits(gpu, { maxStorageBufferBindingSize: 256 }));
    await assertRejects(
      () => loadWeights(narrow, plan, file),
      RangeError,
      "one row takes 512 bytes, and this device binds 256",
    );
    narrow[Symbol.dispose]();
    const deep = parseConfig({
      d_model: 64,
      n_layer: 2,
      vocab_size: 256,
      ssm_cfg: { d_state: 1025 },
    });
    using other = new WebGpuWeightSink(gpu);
    await assertRejects(
      () => other.allocate({ ...plan, config: deep }),
      RangeError,
      "Cannot run this model: d_state is 1025, and kernels take 1024",
    );
    assertEquals(gpu.live.sizeBytes, before);
  }),
);

Deno.test(
  "requireRoom() refuses a state past a buffer, and what the machine has no memory for, with sum and limit",
  withGpu((gpu) => {
    const needs = { name: "big", weightBytes: 5e9 };
    requireRoom(gpu, CONFIG, needs, undefined);
    requireRoom(gpu, CONFIG, needs, 5.3e9);
    assertThrows(
      () => requireRoom(gpu, CONFIG, needs, 5.2e9),
      RangeError,
      'Cannot load "big": weights take 5000000000 bytes, a state 20480 and working memory 268435456: ' +
        `5268455936 in all, and this machine has 5200000000 free (${gpu.name} computes in its memory). ` +
        "Load the weights as f16",
    );
    const sizes = { name: "big", weightBytes: weightBytes(CONFIG, "f16") };
    const free = 268435456 + 20480 + weightBytes(CONFIG, "int8");
    assertThrows(() => requireRoom(gpu, CONFIG, sizes, free), RangeError, "weights as int8");
    assertThrows(() => requireRoom(gpu, CONFIG, sizes, 1e6), RangeError, "Use a smaller model");
    assertThrows(
      () => requireRoom(withLimits(gpu, { maxBufferSize: 16384 }), CONFIG, needs, undefined),
      RangeError,
      'Cannot load "big": a state takes 20480 bytes in one buffer, and this device allows 16384',
    );
  }),
);

Deno.test(
  "withinMemory() says what was asked for where the device runs out of memory",
  withGpu(async (gpu) => {
    using _own = createTensor(gpu, "own", [4]);
    const popErrorScope = async () =>
      await gpu.device.popErrorScope() ?? { message: "not enough memory" };
    const full = withMembers(gpu, { device: withMembers(gpu.device, { popErrorScope }) });
    await assertRejects(
      () => withinMemory(full, () => {}, { name: "big", weightBytes: 5e9 }),
      RangeError,
      `Cannot load "big": its weights take 5000000000 bytes beside ${gpu.live.sizeBytes} in use, and ${gpu.name} has ` +
        "no room for them: not enough memory",
    );
    const lost = async () => {
      await gpu.device.popErrorScope();
      throw new DOMException("the device is lost", "OperationError");
    };
    const gone = withMembers(gpu, { device: withMembers(gpu.device, { popErrorScope: lost }) });
    await assertRejects(
      () => withinMemory(gone, () => {}, { name: "big", weightBytes: 5e9 }),
      RangeError,
      "has no room for them: the device is lost",
    );
    await withinMemory(gpu, () => {}, { name: "small", weightBytes: 5 });
  }),
);
