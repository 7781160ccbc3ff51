import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { crc32 } from "../../src/engine/crc32.ts";
import {
  checkSnapshot,
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
} from "../../src/engine/snapshot.ts";
import { SafetensorsError } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { parseConfig } from "../../src/model/config/config.ts";

/** Like a small model's. */
function snapshotOf(logits: readonly number[] = [0.5, -1, 3e38, -0]): Snapshot {
  const ssm = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i));
  return {
    configHash: "c".repeat(64),
    weightsHash: "d".repeat(64),
    position: 1234,
    pendingToken: 7,
    hasLogits: true,
    draws: 56,
    sampler: { temperature: 0.7, topK: 40, topP: 0.9, minP: 0, repetitionPenalty: 1.1, seed: 5 },
    state: [
      {
        name: "layers.0.ssm_state",
        dtype: "F32",
        shape: [16, 16],
        bytes: new Uint8Array(ssm.buffer),
      },
      {
        name: "logits",
        dtype: "F32",
        shape: [logits.length],
        bytes: new Uint8Array(Float32Array.from(logits).buffer),
      },
      // Words of bits may be anything, what would be NaN included.
      { name: "seen", dtype: "U32", shape: [2], bytes: new Uint8Array(8).fill(0xff) },
    ],
  };
}

Deno.test("crc32() is that of zip and PNG, in any pieces", () => {
  const bytes = new TextEncoder().encode("123456789");
  assertEquals(crc32(bytes), 0xcbf43926);
  assertEquals(crc32(bytes.subarray(0, 4), new Uint8Array(), bytes.subarray(4)), 0xcbf43926);
  assertEquals(crc32(), 0);
});

Deno.test("decodeSnapshot() reads what encodeSnapshot() wrote", async () => {
  for (const snapshot of [snapshotOf(), { ...snapshotOf(), pendingToken: undefined }]) {
    const read = await decodeSnapshot(encodeSnapshot(snapshot));
    const byName = ({ state, ...rest }: Snapshot) => ({
      ...rest,
      state: state.toSorted((a, b) => a.name < b.name ? -1 : 1),
    });
    assertEquals(byName(read), byName(snapshot));
  }
});

Deno.test("decodeSnapshot() accepts none of 10,000 files with one bit flipped", async () => {
  const file = encodeSnapshot(snapshotOf());
  const random = new Random(1);
  // All bits of the header, then any of the rest.
  const headerBits = 8 * (file.length - 256 * 4 - 4 * 4 - 2 * 4);
  assert(headerBits < 10_000);
  for (let flip = 0; flip < 10_000; flip++) {
    const bit = flip < headerBits
      ? flip
      : headerBits + Math.floor(random.next() * (8 * file.length - headerBits));
    const damaged = file.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ 1 << (bit & 7);
    await assertRejects(() => decodeSnapshot(damaged), SafetensorsError, undefined, `bit ${bit}`);
  }
});

Deno.test("decodeSnapshot() says that a file is damaged, cut off, of another format or of none", async () => {
  const file = encodeSnapshot(snapshotOf());
  const damaged = file.slice();
  damaged[file.length - 1] = 0;
  await assertRejects(
    () => decodeSnapshot(damaged, "a.state"),
    SafetensorsError,
    'Cannot read "a.state": it is damaged: its checksum is "',
  );
  await assertRejects(() => decodeSnapshot(file.subarray(0, -1)), SafetensorsError);
  await assertRejects(
    () => decodeSnapshot(encodeSafetensors([], { format: "slither-snapshot-1" })),
    SafetensorsError,
    'its format is "slither-snapshot-1", expected "slither-snapshot-2"',
  );
  await assertRejects(
    () => decodeSnapshot(encodeSafetensors([], {})),
    SafetensorsError,
    "it is not a snapshot",
  );
});

Deno.test("a snapshot whose state is not finite is neither read nor restored", async () => {
  const config = parseConfig({ d_model: 16, n_layer: 1, vocab_size: 8 });
  const { configHash, weightsHash } = snapshotOf();
  checkSnapshot(snapshotOf(), { configHash, weightsHash }, config);
  for (const bad of [NaN, Infinity, -Infinity]) {
    const snapshot = snapshotOf([1, 2, bad]);
    const message = `"logits" is ${bad} at 2, expected finite numbers`;
    assertThrows(
      () => checkSnapshot(snapshot, { configHash, weightsHash }, config),
      RangeError,
      message,
    );
    await assertRejects(() => decodeSnapshot(encodeSnapshot(snapshot)), SafetensorsError, message);
  }
});
