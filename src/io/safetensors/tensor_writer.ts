/** Safetensors files that are written as their tensors come, in any order: never the whole of them in memory. */

import { quote } from "../quote.ts";
import { encodeSafetensorsHeader, type TensorDescription } from "./writer.ts";
import { tensorSizeBytes } from "../tensor_file.ts";
import { writeError } from "../write_error.ts";
import { writeWhole } from "../write_whole.ts";

/** Writes the tensors that were announced. Disposing it without `close` leaves no file behind. */
export interface TensorWriter extends AsyncDisposable {
  /** Bytes of all tensors. */
  readonly totalBytes: number;
  /**
   * Appends to a tensor: what comes for one tensor follows each other, whatever comes for others between.
   *
   * @throws {RangeError} If there is no such tensor, or it gets too many bytes.
   */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Checks that every tensor is complete, and puts the files in their final places, the index last.
   *
   * @returns The names of the files.
   * @throws {RangeError} If a tensor got too few bytes.
   */
  close(): Promise<string[]>;
}

/** What the published checkpoints are cut into. */
const SHARD_BYTES = 5e9;

/** Where a tensor goes. */
interface Place {
  readonly shard: Shard;
  readonly start: number;
  readonly sizeBytes: number;
  written: number;
}

/** One file. */
interface Shard {
  readonly path: string;
  readonly temporary: string;
  readonly file: Deno.FsFile;
}

/**
 * Begins the weights of a checkpoint: `model.safetensors`, or shards with an index where there is too much for one file.
 *
 * Needs `--allow-read` and `--allow-write` for the folder. Files are written beside their final places, and renamed
 * at the end.
 *
 * @param folder Where; it must exist.
 * @param tensors All tensors. They are dealt out to shards in this order.
 * @param maxShardBytes The most that the tensors of a shard take, but for a single larger one.
 * @throws {TypeError} If a name comes twice, or a shape is none.
 */
export async function createTensorWriter(
  folder: string,
  tensors: readonly TensorDescription[],
  maxShardBytes: number = SHARD_BYTES,
): Promise<TensorWriter> {
  const groups = dealOut(tensors, maxShardBytes);
  const places = new Map<string, Place>();
  const shards: Shard[] = [];
  const weightMap: Record<string, string> = {};
  let isOpen = true;
  const removeAll = async (): Promise<void> => {
    isOpen = false;
    for (const { file, temporary } of shards) {
      file.close();
      await Deno.remove(temporary).catch(() => {});
    }
  };
  try {
    for (const [index, group] of groups.entries()) {
      const name = shardName(index, groups.length);
      const header = encodeSafetensorsHeader(group, { format: "pt" });
      const shard = await openShard(`${folder}/${name}`);
      shards.push(shard);
      await writeAll(shard.file, header.bytes).catch((error) => {
        throw writeError(shard.path, shard.temporary, error);
      });
      let start = header.bytes.length;
      for (const tensor of header.tensors) {
        if (places.has(tensor.name)) {
          throw new TypeError(
            `Cannot write tensor ${quote(tensor.name)}: the name is taken, and each must be unique`,
          );
        }
        const sizeBytes = tensorSizeBytes(tensor.dtype, tensor.shape) ?? NaN;
        places.set(tensor.name, { shard, start, sizeBytes, written: 0 });
        weightMap[tensor.name] = name;
        start += sizeBytes;
      }
    }
  } catch (error) {
    await removeAll();
    throw error;
  }
  const totalBytes = [...places.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    totalBytes,
    async write(name, bytes) {
      const place = places.get(name);
      if (place === undefined || place.written + bytes.length > place.sizeBytes) {
        throw new RangeError(
          `Cannot write ${bytes.length} bytes of tensor ${quote(name)}: it has ${
            place?.written ?? 0
          } ` +
            `of ${place?.sizeBytes ?? 0}`,
        );
      }
      const { file, path, temporary } = place.shard;
      try {
        await file.seek(place.start + place.written, Deno.SeekMode.Start);
        await writeAll(file, bytes);
      } catch (error) {
        throw writeError(path, temporary, error);
      }
      place.written += bytes.length;
    },
    async close() {
      for (const [name, { written, sizeBytes }] of places) {
        if (written === sizeBytes) continue;
        throw new RangeError(
          `Cannot finish tensor ${quote(name)}: ${written} bytes came, and it has ${sizeBytes}`,
        );
      }
      for (const { file, path, temporary } of shards) {
        await file.syncData().catch((error) => {
          throw writeError(path, temporary, error);
        });
      }
      isOpen = false;
      for (const { file } of shards) file.close();
      for (const { temporary, path } of shards) await Deno.rename(temporary, path);
      const files = Object.values(weightMap);
      if (shards.length > 1) {
        const index = { metadata: { total_size: totalBytes }, weight_map: weightMap };
        files.push("model.safetensors.index.json");
        await writeWhole(
          `${folder}/model.safetensors.index.json`,
          `${JSON.stringify(index, null, 2)}\n`,
        );
      }
      return [...new Set(files)];
    },
    async [Symbol.asyncDispose]() {
      if (isOpen) await removeAll();
    },
  };
}

/** Tensors in the order given, as many a shard as fit. */
function dealOut(
  tensors: readonly TensorDescription[],
  maxShardBytes: number,
): TensorDescription[][] {
  const groups: TensorDescription[][] = [];
  let groupBytes = Infinity;
  for (const tensor of tensors) {
    const sizeBytes = tensorSizeBytes(tensor.dtype, tensor.shape) ?? Infinity;
    if (groupBytes + sizeBytes > maxShardBytes) {
      groups.push([]);
      groupBytes = 0;
    }
    groups.at(-1)?.push(tensor);
    groupBytes += sizeBytes;
  }
  return groups;
}

function shardName(index: number, count: number): string {
  if (count === 1) return "model.safetensors";
  const digits = (value: number) => String(value).padStart(5, "0");
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

async function openShard(path: string): Promise<Shard> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    return { path, temporary, file: await Deno.open(temporary, { write: true, createNew: true }) };
  } catch (error) {
    throw writeError(path, temporary, error);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}
