/** Snapshots: a session's state as a value, and as a safetensors file. */

import { fromBytes } from "../io/byte_source.ts";
import { openSafetensors, SafetensorsError } from "../io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../io/safetensors/writer.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { StateArray } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { crc32 } from "./crc32.ts";

/** The version that this code writes, and the only one that it reads. */
const FORMAT = "slither-snapshot-2";

/** What every file begins with after the header's length; the checksum's digits follow. */
const BEFORE_CHECKSUM = new TextEncoder().encode('{"__metadata__":{"checksum":"');

/** Where they are, ... */
const CHECKSUM_AT = 8 + BEFORE_CHECKSUM.length;

/** ... and what stands for them while it is taken. */
const NO_CHECKSUM = "00000000";

/** What identifies the model that a snapshot belongs to. */
export interface ModelIdentity {
  /** SHA-256 of the derived config. */
  readonly configHash: string;
  /** SHA-256 of the weights as stored. */
  readonly weightsHash: string;
}

/**
 * Everything that the next token depends on: the same snapshot restored anywhere continues with the same bits.
 */
export interface Snapshot extends ModelIdentity {
  /** Inputs consumed so far. */
  readonly position: number;
  /** The last token drawn, if it is not yet consumed. */
  readonly pendingToken: number | undefined;
  /** Whether the state holds the logits of the last input consumed. */
  readonly hasLogits: boolean;
  /** Tokens drawn so far: the random generator's counter. */
  readonly draws: number;
  /** How tokens are drawn. */
  readonly sampler: SamplerSettings;
  /** The state's parts by name, whatever the model carries: `layers.N.ssm_state`, `logits`, ... */
  readonly state: readonly StateArray[];
}

/**
 * Writes a snapshot as the bytes of a safetensors file, with a checksum over all of it.
 *
 * @example A state that outlives the process
 * ```ts
 * import { decodeSnapshot, encodeSnapshot, loadModel } from "../../mod.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * using session = model.createSession({ seed: 1 });
 * await session.prefill([1, 2, 3]);
 * const file = encodeSnapshot(await session.snapshot());
 *
 * using another = model.createSession();
 * another.restore(await decodeSnapshot(file));
 * another.position; // 3
 * ```
 */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array<ArrayBuffer> {
  const { position, pendingToken, hasLogits, draws, sampler, configHash, weightsHash } = snapshot;
  const bytes = encodeSafetensors(snapshot.state, {
    checksum: NO_CHECKSUM,
    format: FORMAT,
    config_hash: configHash,
    weights_hash: weightsHash,
    position: String(position),
    pending_token: pendingToken === undefined ? "" : String(pendingToken),
    has_logits: String(hasLogits),
    draws: String(draws),
    sampler: JSON.stringify(sampler),
  });
  bytes.set(new TextEncoder().encode(checksumOf(bytes)), CHECKSUM_AT);
  return bytes;
}

/** The checksum of a file, whatever stands in its place there. */
function checksumOf(bytes: Uint8Array): string {
  const end = CHECKSUM_AT + NO_CHECKSUM.length;
  const value = crc32(
    bytes.subarray(0, CHECKSUM_AT),
    new TextEncoder().encode(NO_CHECKSUM),
    bytes.subarray(end),
  );
  return value.toString(16).padStart(NO_CHECKSUM.length, "0");
}

/**
 * Reads a snapshot file.
 *
 * @param name What error messages call it.
 * @throws {SafetensorsError} If the bytes are not a snapshot, or damaged: no flip of a bit goes unseen.
 *
 * @example What a file holds
 * ```ts
 * import { decodeSnapshot, encodeSnapshot, loadModel } from "../../mod.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * using session = model.createSession({ seed: 1 });
 * await session.step(1);
 * const { position, sampler } = await decodeSnapshot(encodeSnapshot(await session.snapshot()));
 * [position, sampler.seed]; // [1, 1]
 * ```
 */
export async function decodeSnapshot(bytes: Uint8Array, name = "snapshot"): Promise<Snapshot> {
  // Of bytes in memory: there is nothing to close.
  const file = await openSafetensors(fromBytes(name, bytes));
  const text = (key: string): string => {
    const value = file.metadata.get(key);
    if (value === undefined) {
      throw new SafetensorsError(`Cannot read "${name}": it is not a snapshot: no ${key}`);
    }
    return value;
  };
  const whole = (key: string): number => {
    const value = text(key);
    if (!/^\d{1,15}$/.test(value)) {
      throw new SafetensorsError(
        `Cannot read "${name}": ${key} is "${value}", expected a whole number`,
      );
    }
    return Number(value);
  };
  if (text("format") !== FORMAT) {
    throw new SafetensorsError(
      `Cannot read "${name}": its format is "${text("format")}", expected "${FORMAT}"`,
    );
  }
  const checksum = text("checksum"), found = checksumOf(bytes);
  if (checksum !== found) {
    throw new SafetensorsError(
      `Cannot read "${name}": it is damaged: its checksum is "${checksum}", and its bytes give "${found}"`,
    );
  }
  const state: StateArray[] = [];
  for (const { name: part, dtype, shape } of file.tensors.values()) {
    if (dtype !== "F32" && dtype !== "U32") {
      throw new SafetensorsError(
        `Cannot read "${name}": "${part}" is ${dtype}, expected F32 or U32`,
      );
    }
    state.push({ name: part, dtype, shape, bytes: await file.read(part) });
  }
  const nonFinite = describeNonFinite(state);
  if (nonFinite !== undefined) throw new SafetensorsError(`Cannot read "${name}": ${nonFinite}`);
  return {
    configHash: text("config_hash"),
    weightsHash: text("weights_hash"),
    position: whole("position"),
    pendingToken: text("pending_token") === "" ? undefined : whole("pending_token"),
    hasLogits: text("has_logits") === "true",
    draws: whole("draws"),
    sampler: parseSampler(text("sampler"), name),
    state,
  };
}

function parseSampler(text: string, name: string): SamplerSettings {
  const keys = ["temperature", "topK", "topP", "minP", "repetitionPenalty", "seed"] as const;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new SafetensorsError(`Cannot read "${name}": its sampler settings are not JSON`, {
      cause,
    });
  }
  const entries = keys.map((key) => {
    const value = (json as Record<string, unknown> | null)?.[key];
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new SafetensorsError(`Cannot read "${name}": its sampler settings have no ${key}`);
    }
    return [key, value] as const;
  });
  return Object.fromEntries(entries) as unknown as SamplerSettings;
}

/**
 * Refuses a snapshot of another model, and says what differs.
 *
 * @throws {TypeError} If it does not belong to this model.
 * @throws {RangeError} If one of its counters is impossible, or its state is not finite.
 */
export function checkSnapshot(
  snapshot: Snapshot,
  model: ModelIdentity,
  config: ModelConfig,
): void {
  if (snapshot.configHash !== model.configHash) {
    throw new TypeError(
      "Cannot restore the snapshot: it belongs to a model with another config (sizes or dialect)",
    );
  }
  if (snapshot.weightsHash !== model.weightsHash) {
    throw new TypeError(
      "Cannot restore the snapshot: it belongs to a model with the same config and other weights",
    );
  }
  checkCounters(snapshot, config);
  const nonFinite = describeNonFinite(snapshot.state);
  if (nonFinite !== undefined) throw new RangeError(`Cannot restore the snapshot: ${nonFinite}`);
}

/** The first number of a state that is none: every output after it would be none, too. */
function describeNonFinite(state: readonly StateArray[]): string | undefined {
  for (const { name, dtype, bytes } of state) {
    if (dtype !== "F32") continue;
    // A view of floats must begin at a multiple of four.
    const { buffer } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    const offset = bytes.byteOffset % 4 === 0 ? bytes.byteOffset : 0;
    const floats = new Float32Array(buffer, offset, Math.floor(bytes.byteLength / 4));
    const index = floats.findIndex((value) => !Number.isFinite(value));
    if (index >= 0) return `"${name}" is ${floats[index]} at ${index}, expected finite numbers`;
  }
  return undefined;
}

/** What a snapshot says beside its state. */
function checkCounters(
  { position, draws, pendingToken }: Snapshot,
  config: ModelConfig,
): void {
  const rows = config.input.kind === "embedding" ? config.input.vocab_size : 0;
  const counters = [["position", position, Infinity], ["draws", draws, Infinity], [
    "pendingToken",
    pendingToken ?? 0,
    Math.max(rows, 1),
  ]] as const;
  for (const [name, value, end] of counters) {
    if (!Number.isSafeInteger(value) || value < 0 || value >= end) {
      throw new RangeError(
        `Cannot restore the snapshot: ${name} is ${value}, expected a whole number from 0` +
          (end === Infinity ? "" : ` to ${end - 1}`),
      );
    }
  }
}
