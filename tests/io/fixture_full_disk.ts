/**
 * Writes files that the system has no room for, and prints what each writer says of it: run where files are limited to a
 * few kilobytes, which the system refuses like a full disk.
 */

import { createRowWriter } from "../../src/io/row_writer.ts";
import { createTensorWriter } from "../../src/io/safetensors/tensor_writer.ts";
import { writeSafetensors } from "../../src/io/safetensors/writer.ts";
import { writeWhole } from "../../src/io/write_whole.ts";
import { openMetrics } from "../../src/train/run/metrics.ts";

const [folder = ""] = Deno.args;
const FLOATS = 1 << 20;

const bytes = new Uint8Array(4 * FLOATS);
const shape = { dtype: "F32", shape: [FLOATS] } as const;
const writers: Record<string, () => Promise<void>> = {
  whole: () => writeWhole(`${folder}/whole`, bytes),
  safetensors: () => writeSafetensors(`${folder}/safetensors`, [{ name: "a", ...shape, bytes }]),
  async tensors() {
    await using writer = await createTensorWriter(folder, [{ name: "a", ...shape }]);
    await writer.write("a", bytes);
  },
  async rows() {
    await using writer = await createRowWriter(`${folder}/rows`, "a", [FLOATS]);
    await writer.write(new Float32Array(FLOATS));
  },
  async metrics() {
    using log = await openMetrics(`${folder}/metrics`, 0);
    log.append({ step: 1, note: "a".repeat(4 * FLOATS) });
  },
};
for (const [name, write] of Object.entries(writers)) {
  const message = await write().then(() => "no error", (error) => error.message);
  Deno.stdout.writeSync(new TextEncoder().encode(`${name}\t${message}\n`));
}
