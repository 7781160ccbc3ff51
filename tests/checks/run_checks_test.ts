import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Bench } from "../../src/checks/bench.ts";
import { checkKernel, EXACT, type KernelCheck } from "../../src/checks/kernel_check.ts";
import {
  type CheckResult,
  runCheckList,
  runChecks,
  type RunChecksOptions,
} from "../../src/checks/run_checks.ts";
import { cpuBench } from "../../src/checks/cpu_bench.ts";
import { webgpuBench } from "../../src/checks/webgpu_bench.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import type { CpuTensor } from "../../src/cpu/machine/tensor.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { withGpu } from "../with_gpu.ts";

function check(kernel: string, part: Partial<KernelCheck> = {}): KernelCheck {
  const run = () => Promise.resolve({ worst: 0.5, detail: "y[0] is 1, expected 1" });
  return { kernel, name: "a case", ops: [], run, ...part };
}

/** A bench of no device, with one op. */
function emptyBench(disposed: string[] = [], device = "none"): Bench & Disposable {
  return {
    device,
    ops: { SCAN_CHUNK: 4 },
    open: () => {
      throw new Error("unreachable");
    },
    [Symbol.dispose]: () => disposed.push(device),
  };
}

async function collect(
  checks: readonly KernelCheck[],
  options: Pick<RunChecksOptions, "cases" | "kernels" | "signal"> = {},
  open = () => Promise.resolve(emptyBench()),
): Promise<CheckResult[]> {
  return await Array.fromAsync(runCheckList(checks, open, options));
}

for (const backend of ["webgpu", "cpu"] as const) {
  Deno.test(`runChecks() gives one result a check, with the device that it ran on: ${backend}`, async () => {
    const kernels = ["token_score_fwd"];
    const results = await Array.fromAsync(runChecks({ kernels, backend, threads: 1 }));
    using gpu = backend === "webgpu" ? await openGpu() : undefined;
    const device = gpu?.name ?? "CPU, 1 thread, SIMD with FMA";
    assert(results.length > 10);
    for (const { worst, detail, elapsedMs, ...rest } of results) {
      const expected = [kernels[0], device, true];
      assertEquals([rest.kernel, rest.device, rest.passed], expected, detail);
      assert(worst >= 0 && worst <= 1 && elapsedMs > 0 && detail.startsWith("y["));
    }
  });
}

Deno.test("runCheckList() takes the last cases of each kernel that the device has the ops for", async () => {
  const checks = [
    ...["a", "b", "c"].map((name) => check("first", { name, ops: ["SCAN_CHUNK"] })),
    check("first", { name: "d", ops: ["SCAN_CHUNK", "softplus"] }),
    check("second", { name: "e" }),
    check("third", { name: "f", ops: ["softplus"] }),
  ];
  const names = (await collect(checks, { cases: 2 })).map(({ name }) => name);
  assertEquals(names, ["b", "c", "e"]);
});

Deno.test("runChecks() goes through all that there is to run kernels", async () => {
  const results = await Array.fromAsync(runChecks({ kernels: ["token_score_fwd"], threads: 1 }));
  using gpu = await openGpu();
  const devices = new Set(results.map(({ device }) => device));
  assertEquals([...devices], [gpu.name, "CPU, 1 thread, SIMD with FMA"]);
});

Deno.test("runChecks() uses a device of the caller's and does not destroy it", async () => {
  using gpu = await openGpu();
  await Array.fromAsync(runChecks({ kernels: ["sum_partials"], device: gpu.device }));
  await Array.fromAsync(runChecks({ kernels: ["sum_partials"], device: gpu.device }));
  gpu.check();
});

Deno.test("runChecks() refuses another backend, and kernels that there are not", async () => {
  const other = { backend: "abacus" } as unknown as RunChecksOptions;
  await assertRejects(
    () => Array.fromAsync(runChecks(other)),
    TypeError,
    'Cannot check kernels: backend is "abacus", expected auto, webgpu or cpu',
  );
  await assertRejects(
    () => Array.fromAsync(runChecks({ kernels: ["rms_norm"] })),
    RangeError,
    'Cannot check "rms_norm": there is no such kernel, expected one of _math, embedding_fwd, ',
  );
});

Deno.test("runCheckList() goes kernel by kernel, and stops when it is told to", async () => {
  const stop = new AbortController();
  const last = check("b", {
    run: () => {
      stop.abort(new Error("enough"));
      return Promise.resolve({ worst: NaN, detail: "" });
    },
  });
  const results: CheckResult[] = [];
  const checks = [check("a"), last, check("a"), check("c")];
  await assertRejects(
    async () => {
      const open = () => Promise.resolve(emptyBench());
      for await (const result of runCheckList(checks, open, { signal: stop.signal })) {
        results.push(result);
      }
    },
    Error,
    "enough",
  );
  const found = results.map(({ kernel, passed }) => [kernel, passed]);
  assertEquals(found, [["a", true], ["a", true], ["b", false]]);
});

Deno.test("runCheckList() leaves out checks of ops that an executor lacks", async () => {
  const checks = [
    check("a", { ops: ["SCAN_CHUNK"] }),
    check("b", { ops: ["SCAN_CHUNK", "ssdFwd"] }),
  ];
  assertEquals((await collect(checks)).map(({ kernel }) => kernel), ["a"]);
});

Deno.test("runCheckList() goes on with a new device after one that refused a kernel", async () => {
  const disposed: string[] = [];
  const names = ["first", "second", "third"];
  const refused = check("b", { run: () => Promise.reject(new SyntaxError("Cannot compile b")) });
  const results = await collect(
    [check("a"), refused, check("c")],
    {},
    () => Promise.resolve(emptyBench(disposed, names.shift())),
  );
  assertEquals(results.map(({ device }) => device), ["first", "first", "second"]);
  assertEquals(disposed, ["first", "second"]);
  const [, { worst, error, detail } = { worst: 0, error: undefined, detail: "" }] = results;
  assertEquals([worst, error?.name, detail], [Infinity, "SyntaxError", "Cannot compile b"]);
});

/** Sums over `length` of 5 elements, where all 5 are expected. */
function faulty(
  gpu: Gpu,
  length: number,
): Promise<{ readonly worst: number; readonly detail: string }> {
  const { run } = checkKernel(["sumPartials"], (run) => {
    const y = run.state(new Float32Array(5).fill(7));
    const partials = run.input(new Float32Array(5).fill(1));
    const shape = { parts: 1, size: length, label: "check" };
    run.ops.sumPartials(run.program, { partials, y }, shape);
    run.expect("y", y, new Float32Array(5).fill(1), EXACT);
  });
  return run(webgpuBench(gpu));
}

Deno.test(
  "a check fails where its kernel writes too little, or past the end",
  withGpu(async (gpu) => {
    assertEquals((await faulty(gpu, 5)).worst, 0);
    assertEquals(await faulty(gpu, 4), { worst: Infinity, detail: "y[4] is 7, expected 1" });
    const past = await faulty(gpu, 6);
    assertEquals(past, { worst: Infinity, detail: "the guard of y was written at +0" });
  }),
);

Deno.test("a check does not run where an op is missing", async () => {
  const { run } = checkKernel(["ssdFwd", "SCAN_CHUNK"], () => {});
  await assertRejects(() => run(emptyBench()), TypeError, "Cannot check: none has no ssdFwd");
});

Deno.test("a check fails where an op of the CPU writes below a tensor", async () => {
  using cpu = await openCpu();
  const { run } = checkKernel(["rmsNormFwd"], (run) => {
    const y = run.output(8);
    const tensors = {
      x: run.input(new Float32Array(8).fill(1)),
      weight: run.input(new Float32Array(8)),
      y,
    };
    run.ops.rmsNormFwd(run.program, tensors, { rows: 1, d_model: 8, eps: 1, label: "check" });
    run.expectAnything("y", y);
    const { address } = y as unknown as CpuTensor;
    cpu.memory.bytes(address - 8, 4).fill(0);
  });
  await assertRejects(
    () => run(cpuBench(cpu)),
    RangeError,
    "Cannot trust the ops: one wrote 2 words below a tensor",
  );
});
