import type { ByteSource } from "../byte_source.ts";
import { quote } from "../quote.ts";
import { openSafetensors, SafetensorsError } from "./safetensors.ts";
import { openShards } from "../shards.ts";
import type { TensorFile } from "../tensor_file.ts";

/**
 * Opens a safetensors checkpoint that is split over several files.
 *
 * All shards are opened, one handle each, and their headers read; tensors are read when asked for.
 *
 * @param indexJson What `model.safetensors.index.json` holds, parsed.
 * @param indexName What messages call the index.
 * @param openShard Opens a file of the same folder by its plain name.
 * @returns All tensors as one file, in the order of the index.
 * @throws {SafetensorsError} If the index or a shard is malformed, or they contradict each other.
 */
export async function openShardedSafetensors(
  indexJson: unknown,
  indexName: string,
  openShard: (file: string) => Promise<ByteSource>,
): Promise<TensorFile> {
  return await openShards(
    indexJson,
    indexName,
    async (file) => await openSafetensors(await openShard(file)),
    (found) => new SafetensorsError(`Cannot read ${quote(indexName)}: ${found}`),
  );
}
