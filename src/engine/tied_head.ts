/** Whether a head is the embedding: what the weights say, and what config.json says. */

import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import type { LoadPlan } from "../model/weights/load_plan.ts";
import { SCALES_SUFFIX } from "../model/weights/match_tensors.ts";
import { EMBEDDING_NAMES } from "../model/weights/weight_specs.ts";
import { toHex } from "../runtime/bytes.ts";
import { digestOf } from "./tensor_pieces.ts";

/** Whether the file has a head of its own, with other numbers than the embedding's. */
export async function hasOwnHead(
  file: TensorFile,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const head = `${prefix}lm_head.weight`;
  const embedding = EMBEDDING_NAMES.map((name) => prefix + name)
    .find((name) => file.tensors.has(name));
  if (embedding === undefined || !file.tensors.has(head)) return false;
  for (const suffix of ["", SCALES_SUFFIX]) {
    const [one, other] = [file.tensors.get(head + suffix), file.tensors.get(embedding + suffix)];
    if (one === undefined || other === undefined) continue;
    if (await digestOf(file, one, signal) !== await digestOf(file, other, signal)) return true;
  }
  return false;
}

/** A head that config.json calls tied must be the embedding, where the file has one of its own. */
export async function checkTiedHead(
  { tiedHead }: LoadPlan<TensorInfo>,
  file: TensorFile,
  digests: ReadonlyMap<string, Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (tiedHead === undefined) return;
  const embedding = digests.get("backbone.embeddings.weight");
  if (embedding === undefined || await digestOf(file, tiedHead, signal) !== toHex(embedding)) {
    throw new TypeError(
      `Cannot load "${file.name}": config.json ties the head to the embedding, and "${tiedHead.name}" differs from it. ` +
        `Set tie_word_embeddings (tie_embeddings in the raw form) to false to use it`,
    );
  }
}
