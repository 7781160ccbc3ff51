import { assert, assertEquals } from "@std/assert";
import { goldenPath } from "../golden_files.ts";
import { BACKENDS, eachBackend } from "./each_backend.ts";
import type { Held } from "./fixture_constant_memory.ts";

const MB = 1e6;

/**
 * What a device may hold more. Programs that are kept take 256 bytes for each dispatch whose parameters are not another's,
 * and which these are depends on the lengths of the last calls. One such buffer a call would be a hundred times this.
 */
const PROGRAM_BYTES = 16 * 256;

for (const backend of BACKENDS) {
  Deno.test(`a session that has consumed 20,000 tokens holds as much memory as one that has consumed 200, on ${backend}`, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-check", "--v8-flags=--expose-gc", "-A"],
        new URL("fixture_constant_memory.ts", import.meta.url).pathname,
        backend,
      ],
      stdin: "null",
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const { few, many, freedDeviceBytes }: { few: Held; many: Held; freedDeviceBytes: number } =
      JSON
        .parse(new TextDecoder().decode(stdout));
    // deno-lint-ignore no-console -- the figures belong in the test output
    console.log("held after 200:", few, "after 20,000:", many);
    assertEquals([few.position, many.position], [200, 20_000]);
    const deviceGrowth = many.deviceBytes - few.deviceBytes;
    assert(deviceGrowth <= PROGRAM_BYTES, `the device's memory grew by ${deviceGrowth} bytes`);
    const hostGrowth = many.hostBytes - few.hostBytes;
    assert(hostGrowth < 5 * MB, `the host's heap grew by ${hostGrowth} bytes`);
    // The process may grow by what the first long calls touch, and then no more: on a software adapter the GPU's buffers
    // lie in it; kernels for many rows are compiled; and allocators keep what garbage took between two collections
    // (20 to 60 MB on llvmpipe, and 30 MB more over the next 280,000 tokens). A state kept for every token would be
    // four times that.
    const rssGrowth = many.rssBytes - few.rssBytes;
    assert(rssGrowth < many.deviceBytes + 64 * MB, `the process grew by ${rssGrowth} bytes`);
    assertEquals(freedDeviceBytes, 0);
  });
}

eachBackend(
  "deviceBytes counts the weights, and every session while it is open",
  async (loadModel) => {
    using model = await loadModel(goldenPath("mamba1"));
    const before = model.deviceBytes;
    assert(before >= model.weightBytes);
    {
      using session = model.createSession();
      assert(model.deviceBytes >= before + session.stateBytes);
      using _other = session.fork();
      assert(model.deviceBytes >= before + 2 * session.stateBytes);
    }
    assertEquals(model.deviceBytes, before);
  },
);
