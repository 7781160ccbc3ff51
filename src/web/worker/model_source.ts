/** What the engine is given for a checkpoint that is on the web, or was dropped on the page. */

import type { ModelSource } from "../calls.ts";
import { fetchFiles } from "./fetch_files.ts";
import { keepingFetch } from "./kept_pieces.ts";

/** Where dropped files seem to be: a name that nobody can have. */
const DROPPED = "https://dropped.invalid/";

/** A location for `loadModel`, and what downloads from there. */
export interface EngineSource {
  readonly location: string;
  readonly fetch: typeof fetch | undefined;
}

/** Finds what a source means. Whole URLs that are relative to the page are the page's to resolve. */
export function openSource(source: ModelSource, { keep }: { keep: boolean }): EngineSource {
  if (typeof source === "string") {
    return { location: source.trim(), fetch: keep ? keepingFetch() : undefined };
  }
  return { location: DROPPED + (weightsAlone(source) ?? ""), fetch: fetchFiles(source) };
}

/** A weights file of any name, where the files hold one alone. */
function weightsAlone(files: readonly File[]): string | undefined {
  const isIndexed = files.some(({ name }) => name.endsWith(".index.json"));
  const weights = files.filter(({ name }) => /\.(safetensors|bin|pth|pt)$/i.test(name));
  return isIndexed || weights.length !== 1 ? undefined : weights[0]?.name;
}
