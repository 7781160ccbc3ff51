/** The models that the page has loaded, one for each use. */

import { loadModel } from "../../engine/load_model.ts";
import type { Model } from "../../engine/model.ts";
import type { Handlers, Slot } from "../calls.ts";
import { openSource } from "./model_source.ts";

const models = new Map<Slot, Model>();

/** Is told before a model goes: what was made of it goes first. */
const beforeUnload = new Map<Slot, () => void>();

/** Registers who has something of the model in a slot. */
export function onUnload(slot: Slot, release: () => void): void {
  beforeUnload.set(slot, release);
}

/** The model in a slot. */
export function modelIn(slot: Slot): Model {
  const model = models.get(slot);
  if (model === undefined) throw new TypeError(`Cannot use the model for ${slot}: none is loaded`);
  return model;
}

/** Loads a model in the place of the slot's last one, which stays until this one is there. */
export const load: Handlers["load"] = async ({ slot, source, choice }, { signal, emit }) => {
  const start = performance.now();
  const { location, fetch } = openSource(source, { keep: choice.keep ?? false });
  const model = await loadModel(location, {
    backend: choice.backend,
    dtype: choice.dtype,
    fetch,
    signal,
    onProgress: emit,
  });
  unload(slot);
  models.set(slot, model);
  const { backend, device, deviceNote, weightBytes, stateBytes, deviceBytes, labels } = model;
  return {
    ...{ backend, device, note: deviceNote, weightBytes, stateBytes, deviceBytes, labels },
    elapsedMs: performance.now() - start,
  };
};

function unload(slot: Slot): void {
  const model = models.get(slot);
  if (model === undefined) return;
  beforeUnload.get(slot)?.();
  models.delete(slot);
  model[Symbol.dispose]();
}
