/// <reference lib="dom" />
/** The page: see index.html for what it shows, and engine_worker.ts for what computes. */

import { openDigitSection } from "./digit_section.ts";
import { EngineClient } from "./engine_client.ts";
import { PageModels } from "./page_models.ts";
import { openTextSection } from "./text_section.ts";

const worker = new Worker(new URL("./engine_worker.js", import.meta.url), { type: "module" });
const engine = new EngineClient(worker);
const models = new PageModels(engine);
openTextSection(engine, models);
await openDigitSection(engine, models);
