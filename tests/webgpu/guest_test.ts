/** What a session makes on the device before its first token. */

import { assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "a session's prompts, steps and scores take no bind groups that another's made",
  withGpu(async ({ device }) => {
    let groups = 0;
    const { createBindGroup } = device;
    device.createBindGroup = (descriptor) => {
      groups++;
      return createBindGroup.call(device, descriptor);
    };
    using model = await loadModel(goldenPath("mamba1"), { device, backend: "webgpu" });
    const use = async () => {
      using session = model.createSession();
      const results = [
        await session.prefill([1, 2, 3], { logits: "all" }),
        await session.prefill([4, 5]),
        await session.step(6),
        await session.score([7, 8]),
      ];
      return { results, position: session.position };
    };
    const first = await use();
    const made = groups;
    assertEquals(await use(), first);
    assertEquals(groups, made);
    assertEquals(await Promise.all([use(), use(), use()]), [first, first, first]);
  }),
);
