import { assert, assertEquals } from "@std/assert";
import inspector from "node:inspector";
import { infer } from "../../../src/cli/infer/infer.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

/** Bytes that V8 allocated on its heap during some work, as it samples them; what was collected since is among them. */
async function allocatedBytes(work: () => Promise<void>): Promise<number> {
  const session = new inspector.Session();
  session.connect();
  const post = (method: string, params = {}) =>
    new Promise<unknown>((resolve, reject) =>
      session.post(
        method,
        params,
        (error: Error | null, result: unknown) => error === null ? resolve(result) : reject(error),
      )
    );
  try {
    await post("HeapProfiler.startSampling", {
      samplingInterval: 8192,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    await work();
    const { profile } = await post("HeapProfiler.stopSampling") as {
      profile: { samples: { size: number }[] };
    };
    return profile.samples.reduce((sum, { size }) => sum + size, 0);
  } finally {
    session.disconnect();
  }
}

async function score(bytes: number): Promise<void> {
  const stdin = "a line\n".repeat(Math.ceil(bytes / 7)).slice(0, bytes);
  const terminal = new FakeTerminal({ stdin, chunk: 1024 });
  const args = ["score", goldenPath("mamba1"), "-", "--summary", "--backend", "cpu"];
  assertEquals(await infer([...args, "--threads", "1"], terminal), 0, terminal.stderr);
}

Deno.test("infer() score - --summary makes little garbage a token, so that the heap stays small", async () => {
  // What loads the model, and what is not yet compiled, leaves more.
  await score(2 ** 14);
  const few = await allocatedBytes(() => score(2 ** 12));
  const many = await allocatedBytes(() => score(2 ** 15));
  const each = (many - few) / (2 ** 15 - 2 ** 12);
  // deno-lint-ignore no-console -- the figure belongs in the test output
  console.log(`${each.toFixed(0)} bytes a token`);
  assert(each < 700, `${each} bytes a token`);
});
