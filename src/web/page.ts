/// <reference lib="dom" />
/** The page: see index.html for what it shows, and engine_worker.ts for what computes. */

import { openCheckpointSection } from "./sections/checkpoint_section.ts";
import { openChecksSection } from "./sections/checks_section.ts";
import { isSavedState, onDroppedFiles } from "./dropped_files.ts";
import { openDigitSection } from "./sections/digit_section.ts";
import { EngineClient } from "./engine_client.ts";
import { PageModels } from "./page_models.ts";
import { openSoundSection } from "./sections/sound_section.ts";
import { openTextSection } from "./sections/text_section.ts";
import { openTrainingSection } from "./sections/training_section.ts";

const worker = new Worker(new URL("./engine_worker.js", import.meta.url), { type: "module" });
const engine = new EngineClient(worker);
const models = new PageModels(engine);
openSoundSection(engine, models);
const text = openTextSection(engine, models);
openTrainingSection(engine, models);
openChecksSection(engine);
const checkpoint = openCheckpointSection(engine, models);
onDroppedFiles((files) => void takeFiles(files));
await openDigitSection(engine, models);

/** States go on in a column each; anything else is taken for the files of a checkpoint. */
async function takeFiles(files: readonly File[]): Promise<void> {
  const areStates = await Promise.all(files.map(isSavedState));
  const states = files.filter((_, i) => areStates[i]);
  for (const file of states) text.openState(file);
  if (states.length === files.length) return;
  document.getElementById("checkpoint")?.scrollIntoView();
  await checkpoint.look(files.filter((_, i) => !areStates[i]));
}
