/** Whether a model fits, before its weights are read. */

import type { Gpu } from "../gpu/device.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { stateBytes } from "../model/state_layout.ts";
import { weightBytes as bytesAs } from "../model/weights/weight_specs.ts";

/** What wants to be on the device. */
export interface MemoryNeeds {
  /** The checkpoint, as messages call it. */
  readonly name: string;
  readonly weightBytes: number;
}

/**
 * What running takes beside weights and state: activations and logits of a piece of a prompt (some 64 and 50 MiB,
 * see the executor), and what loading reads and uploads at a time.
 */
const WORKING_BYTES = 256 * 2 ** 20;

/** What to load a model as where it does not fit, the most faithful first. */
const SMALLER_DTYPES = ["f16", "int8", "int4"] as const;

/**
 * Refuses a model that cannot fit on the device.
 *
 * WebGPU does not say how much memory a device has. A software adapter's is the host's, which Deno tells where
 * `--allow-sys=systemMemoryInfo` permits it; elsewhere {@linkcode withinMemory} finds out.
 *
 * @param freeBytes Memory of a software adapter that is free, or undefined where that is not known.
 * @throws {RangeError} With the sum and the limit.
 */
export function requireRoom(
  gpu: Gpu,
  config: ModelConfig,
  { name, weightBytes }: MemoryNeeds,
  freeBytes: number | undefined = gpu.isSoftware ? freeHostBytes() : undefined,
): void {
  const { maxBufferSize } = gpu.device.limits;
  const state = stateBytes(config);
  if (state > maxBufferSize) {
    throw new RangeError(
      `Cannot load "${name}": a state takes ${state} bytes in one buffer, and this device allows ${maxBufferSize}`,
    );
  }
  const beside = state + WORKING_BYTES;
  const sum = weightBytes + beside;
  if (freeBytes !== undefined && sum > freeBytes) {
    const smaller = SMALLER_DTYPES.find((dtype) => {
      const bytes = bytesAs(config, dtype);
      return bytes < weightBytes && bytes + beside <= freeBytes;
    });
    throw new RangeError(
      `Cannot load "${name}": weights take ${weightBytes} bytes, a state ${state} and working memory ${WORKING_BYTES}: ` +
        `${sum} in all, and this machine has ${freeBytes} free (${gpu.name} computes in its memory). ` +
        (smaller === undefined ? "Use a smaller model" : `Load the weights as ${smaller}`),
    );
  }
}

/**
 * Allocates, and turns a device's lack of memory into an error that says how much was asked for.
 *
 * @throws {RangeError} If the device ran out of memory.
 */
export async function withinMemory(
  gpu: Gpu,
  allocate: () => void,
  { name, weightBytes }: MemoryNeeds,
): Promise<void> {
  const before = gpu.live.sizeBytes;
  gpu.device.pushErrorScope("out-of-memory");
  let error: { readonly message: string } | null = null;
  try {
    allocate();
  } finally {
    // Some drivers give up the device with it.
    error = await gpu.device.popErrorScope().catch((lost: Error) => lost);
  }
  if (error !== null) {
    throw new RangeError(
      `Cannot load "${name}": its weights take ${weightBytes} bytes beside ${before} in use, and ${gpu.name} has no ` +
        `room for them: ${error.message}. Load the weights as f16, int8 or int4, or use a smaller model`,
    );
  }
}

/** Free memory of this machine, where there is Deno and it may tell; it is not asked for permission. */
function freeHostBytes(): number | undefined {
  if (typeof Deno === "undefined") return undefined;
  const permission = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return permission.state === "granted" ? Deno.systemMemoryInfo().available : undefined;
}
