import { assertEquals, assertRejects } from "@std/assert";
import { Quantizing, type StoredRows } from "../../src/engine/quantizing.ts";
import { concat, sha256 } from "../../src/engine/tensor_pieces.ts";
import { fromFloat32 } from "../../src/io/dtype.ts";
import { toHex } from "../../src/runtime/bytes.ts";
import { randomUniform } from "../../tools/bench/random_weights.ts";

/** Columns that no group divides, and rows enough for three workers, which no number of them divides. */
const [COLUMNS, ROWS] = [1000, 401];
const VALUES = randomUniform(ROWS * COLUMNS, 3);

function storedAs(stored: "F32" | "F16" | "BF16" | "F64", values = VALUES): StoredRows["bytes"] {
  if (stored === "F32") return new Uint8Array(values.slice().buffer);
  if (stored === "F64") return new Uint8Array(Float64Array.from(values).buffer);
  return fromFloat32(values, stored);
}

/** Digests of the codes and scales of all parts, in the order of rows, and how many parts there are. */
async function run(threads: number, rows: StoredRows): Promise<[string, string, number]> {
  using quantizing = new Quantizing(threads);
  const parts = await quantizing.run(rows);
  assertEquals(
    parts.map(({ firstRow }) => firstRow),
    parts.map((_, index) => index * Math.ceil(ROWS / parts.length)),
  );
  return [
    toHex(await sha256(concat(parts.map(({ rows }) => rows.codes)))),
    toHex(await sha256(concat(parts.map(({ rows }) => new Uint8Array(rows.scales.buffer))))),
    parts.length,
  ];
}

Deno.test("Quantizing gives the bytes of one thread, whatever is stored", async () => {
  for (const dtype of ["int8", "int4"] as const) {
    for (const stored of ["F32", "F16", "BF16", "F64"] as const) {
      const rows = { bytes: storedAs(stored), stored, columns: COLUMNS, dtype };
      const [codes, scales, one] = await run(1, rows);
      const [sharedCodes, sharedScales, parts] = await run(3, rows);
      assertEquals([one, parts], [1, stored === "F64" ? 1 : 3], stored);
      assertEquals(sharedCodes, codes, `${stored} as ${dtype}`);
      assertEquals(sharedScales, scales, `${stored} as ${dtype}`);
      assertEquals(rows.bytes.length > 0, true, "they stay the caller's");
    }
  }
});

Deno.test("Quantizing has its workers answer, each for its rows", async () => {
  const { Worker } = globalThis;
  let answers = 0;
  globalThis.Worker = class extends Worker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      this.addEventListener("message", () => answers++);
    }
  };
  try {
    await run(3, { bytes: storedAs("BF16"), stored: "BF16", columns: COLUMNS, dtype: "int4" });
  } finally {
    globalThis.Worker = Worker;
  }
  assertEquals(answers, 3);
});

Deno.test("Quantizing says of the first bad row what one thread says", async () => {
  const values = VALUES.slice();
  for (const row of [395, 200]) values[row * COLUMNS + 40] = Infinity;
  const rows = { stored: "F32", columns: COLUMNS, dtype: "int4" } as const;
  for (const threads of [1, 3]) {
    using quantizing = new Quantizing(threads);
    await assertRejects(
      () => quantizing.run({ ...rows, bytes: storedAs("F32", values) }),
      RangeError,
      "Cannot quantize to int4: columns 32 to 63 of row 200 need a scale of -Infinity",
    );
  }
});

Deno.test("Quantizing takes Node's workers where there are none of the web's", async () => {
  const rows = { bytes: storedAs("F16"), stored: "F16", columns: COLUMNS, dtype: "int4" } as const;
  const expected = await run(3, rows);
  const { Worker } = globalThis;
  try {
    Reflect.deleteProperty(globalThis, "Worker");
    assertEquals(await run(3, rows), expected);
  } finally {
    globalThis.Worker = Worker;
  }
});

Deno.test("Quantizing does by itself what a worker fails at", async () => {
  const { Worker } = globalThis;
  class Failing extends EventTarget {
    onerror: ((event: Event) => void) | undefined;
    postMessage(): void {
      queueMicrotask(() => this.onerror?.(new Event("error", { cancelable: true })));
    }
    terminate(): void {}
  }
  const rows = { bytes: storedAs("F16"), stored: "F16", columns: COLUMNS, dtype: "int8" } as const;
  const expected = await run(1, rows);
  globalThis.Worker = Failing as unknown as typeof Worker;
  try {
    assertEquals((await run(3, rows)).slice(0, 2), expected.slice(0, 2));
  } finally {
    globalThis.Worker = Worker;
  }
});
