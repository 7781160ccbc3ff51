// Run by held_values_test.ts with gc() exposed: how many of a stream's values are still held when it has passed, as JSON.
import { untilAborted } from "../../../src/io/streams/until_aborted.ts";
import { withPauses } from "../../../src/io/streams/byte_stream.ts";

const { gc } = globalThis as { gc?: () => void };
if (gc === undefined) throw new TypeError("Cannot measure: run with --v8-flags=--expose-gc");

const given: WeakRef<Uint8Array>[] = [];

async function* source(): AsyncGenerator<Uint8Array, void> {
  for (let i = 0; i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const value = new Uint8Array(1000);
    given.push(new WeakRef(value));
    yield value;
  }
}

const streams = {
  untilAborted: () => untilAborted(source(), new AbortController().signal),
  withPauses: () => withPauses(source(), 1),
};
const held: Record<string, number> = {};
for (const [name, open] of Object.entries(streams)) {
  given.length = 0;
  const stream = open();
  for (let i = 0; i < 100; i++) await stream.next();
  // Weak references hold what they gave until a later turn.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    gc();
  }
  held[name] = given.filter((value) => value.deref() !== undefined).length;
  await stream.return();
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(held)));
