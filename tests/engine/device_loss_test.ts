import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeviceLostError, loadModel, type Snapshot } from "../../mod.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import "../settle_readbacks.ts";

const LM = goldenPath("mamba1");
const PROMPT = [1, 2, 3, 4];

async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter: deno run -A tools/ensure_adapter.ts");
  return await adapter.requestDevice();
}

Deno.test("a device that is lost in the middle of a stream ends it with one error, and the last snapshot goes on", async () => {
  const sampling = { seed: 4, maxTokens: 60 };
  using whole = await loadModel(LM, { backend: "webgpu" });
  const expected = (await Array.fromAsync(whole.generate(PROMPT, sampling))).map(({ id }) => id);

  const device = await openDevice();
  const taken: Snapshot[] = [];
  const ids: number[] = [];
  {
    using model = await loadModel(LM, { device });
    using session = model.createSession({ seed: 4 });
    await session.prefill(PROMPT);
    const stream = async () => {
      const options = {
        maxTokens: 60,
        snapshotEvery: 10,
        onSnapshot: (snapshot: Snapshot) => void taken.push(snapshot),
      };
      for await (const { id } of session.generate(options)) {
        ids.push(id);
        if (ids.length === 33) device.destroy();
      }
    };
    const error = await assertRejects(stream, DeviceLostError);
    assert(error.message.includes("the device was lost"), error.message);
    // Whatever is called after it says the same.
    await assertRejects(() => session.step(1), DeviceLostError);
    await assertRejects(() => session.snapshot(), DeviceLostError);
    await assertRejects(() => Array.fromAsync(model.generate(PROMPT)), DeviceLostError);
  }
  assertEquals(ids, expected.slice(0, ids.length));
  const last = defined(taken.at(-1));

  using again = await loadModel(LM, { backend: "webgpu" });
  using session = again.createSession();
  session.restore(last);
  const rest = await Array.fromAsync(session.generate({ maxTokens: 60 - last.draws }));
  assertEquals(rest.map(({ id }) => id), expected.slice(last.draws));
});
