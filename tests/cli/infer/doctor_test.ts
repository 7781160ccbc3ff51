import { assert, assertEquals, assertMatch } from "@std/assert";
import { doctor, type DoctorOptions } from "../../../src/cli/infer/doctor/doctor.ts";
import type { KernelCheck } from "../../../src/checks/kernel_check.ts";
import { ALL_KERNELS } from "../../../src/ops/kernels.ts";
import { KERNEL_CHECKS } from "../../../src/checks/kernel_checks.ts";
import "../../settle_readbacks.ts";
import { WHOLE_STEP_KERNELS } from "../../whole_step_kernels.ts";

/** A few kernels that every executor has, and one that WebGPU alone has: tests/ops and tests/cpu run all checks of all. */
const KERNELS = ["rms_norm_fwd", "matvec_fwd", "conv1d_fwd", "ssd_decays"];

/** One check of each. */
const FEW = KERNELS.flatMap((name) =>
  KERNEL_CHECKS.filter(({ kernel }) => kernel === name).slice(0, 1)
);

const WRONG: KernelCheck = {
  kernel: "matmul_fwd",
  name: "a wrong result",
  ops: [],
  run: () => Promise.resolve({ worst: 3, detail: "y[7] is 1, expected 2" }),
};

const NOT_A_NUMBER: KernelCheck = {
  kernel: "conv1d_fwd",
  name: "no number",
  ops: [],
  run: () => Promise.resolve({ worst: NaN, detail: "y[0] is NaN, expected 1" }),
};

const REFUSED: KernelCheck = {
  kernel: "broken_fwd",
  name: "a refused kernel",
  ops: [],
  run: () =>
    Promise.reject(new SyntaxError("Cannot compile kernels/broken_fwd.wgsl:4:10: nonsense")),
};

async function runDoctor(
  checks: readonly KernelCheck[],
  options: Partial<DoctorOptions> = { backend: "webgpu" },
) {
  let text = "";
  const write = (part: string) => text += part;
  const code = await doctor({ json: false, threads: 1, checks, write, ...options });
  return { code, text };
}

/** Does something where `navigator.gpu` is what a getter gives. */
async function withPlatform(gpu: () => undefined, action: () => Promise<void>): Promise<void> {
  const platform = Object.getOwnPropertyDescriptor(Navigator.prototype, "gpu") ?? {};
  Object.defineProperty(Navigator.prototype, "gpu", { configurable: true, get: gpu });
  try {
    await action();
  } finally {
    Object.defineProperty(Navigator.prototype, "gpu", platform);
  }
}

Deno.test("KERNEL_CHECKS has checks of every kernel, each with a name of its own", () => {
  const checked = new Set([...KERNEL_CHECKS.map(({ kernel }) => kernel), ...WHOLE_STEP_KERNELS]);
  assertEquals(ALL_KERNELS.map(({ name }) => name).filter((name) => !checked.has(name)), []);
  const names = KERNEL_CHECKS.map(({ kernel, name }) => `${kernel}: ${name}`);
  assertEquals(names.filter((name, i) => names.indexOf(name) !== i), []);
});

Deno.test("doctor() describes the GPU and passes where every kernel does", async () => {
  const { code, text } = await runDoctor(FEW);
  assertEquals(code, 0, text);
  assertMatch(text, /^adapter {4}\S/);
  assertMatch(text, /limit {6}maxStorageBufferBindingSize [\d,]+ \(/);
  assertMatch(text, /readback {3}(at once|awaited), \d+\.\d\d ms/);
  for (const name of KERNELS) assertMatch(text, new RegExp(`^pass +${name} `, "m"));
  assertMatch(
    text,
    new RegExp(`All ${FEW.length} checks of ${FEW.length} kernels pass on .+\n$`),
  );
});

Deno.test("doctor() fails when one check is wrong, and says where", async () => {
  const { code, text } = await runDoctor([...FEW, WRONG, NOT_A_NUMBER], { backend: "cpu" });
  assertEquals(code, 1);
  assertMatch(text, /^FAIL +matmul_fwd /m);
  assertMatch(text, /a wrong result: 3\.0 x what is allowed: y\[7\] is 1, expected 2/);
  assertMatch(
    text,
    /^FAIL +conv1d_fwd .*\n +no number: infinite x what is allowed: y\[0\] is NaN/m,
  );
  assertMatch(text, /^pass +matvec_fwd /m);
  assertMatch(text, /FAIL: [\w, ]+ on .+\n$/);
});

Deno.test("doctor() goes on with a new device after one that refused a kernel", async () => {
  const { code, text } = await runDoctor([REFUSED, ...FEW]);
  assertEquals(code, 1);
  assertMatch(text, /^ +a refused kernel: Cannot compile kernels\/broken_fwd\.wgsl:4:10/m);
  for (const { kernel } of FEW) assertMatch(text, new RegExp(`^pass +${kernel} `, "m"));
});

Deno.test("doctor() looks at the CPU and then at the GPU, unless one is named", async () => {
  const { code, text } = await runDoctor(FEW, {});
  assertEquals(code, 0, text);
  assertMatch(text, /^cpu {8}CPU, 1 thread, SIMD with FMA \(the build "relaxed"\)\nadapter {4}\S/);
  assertMatch(text, /\non CPU, 1 thread, (.*\n)+?pass +matvec_fwd +1 checks (.*\n)+?\non .+\npass/);
  assertMatch(text, /\nAll \d+ checks of \d+ kernels pass on CPU, 1 thread, .*\n/);
  const { text: three } = await runDoctor(FEW, { backend: "cpu", threads: 3 });
  assertMatch(three, /^cpu {8}CPU, 3 threads, SIMD with FMA \(the build "relaxed_threads"\)\n\n/);
  assert(!/adapter|ssd_decays/.test(three), three);
});

Deno.test("doctor() writes one object as JSON", async () => {
  const { code, text } = await runDoctor([...FEW, NOT_A_NUMBER], { json: true });
  assertEquals(code, 1);
  const report = JSON.parse(text);
  assertEquals(report.passed, false);
  const [cpu, gpu] = report.executors;
  assertEquals([cpu.backend, cpu.build, cpu.threads], ["cpu", "relaxed", 1]);
  assertEquals(gpu.backend, "webgpu");
  assertEquals(gpu.kernels.length, FEW.length);
  assert(gpu.limits.maxBufferSize > 0 && gpu.readback.promiseMs > 0);
  for (const { passed, kernels } of [cpu, gpu]) {
    assertEquals(passed, false);
    const conv1d = kernels.find(({ kernel }: KernelCheck) => kernel === "conv1d_fwd");
    assertEquals([conv1d.passed, conv1d.checks, conv1d.worst], [false, 2, null]);
    assertEquals(conv1d.failures[0].name, "no number");
  }
});

Deno.test("doctor() passes on the CPU where there is no adapter, and fails where one is asked for", async () => {
  await withPlatform(() => undefined, async () => {
    const { code, text } = await runDoctor(FEW, {});
    assertEquals(code, 0, text);
    assertMatch(text, /\nadapter {4}none: models run on the CPU\n/);
    const asked = await runDoctor(FEW);
    assertEquals(asked.code, 1);
    assertMatch(asked.text, /^Cannot find a GPU adapter: .*mesa-vulkan-drivers/);
    const json = await runDoctor(FEW, { backend: "webgpu", json: true });
    assertMatch(JSON.parse(json.text).error, /^Cannot find a GPU adapter/);
  });
});

Deno.test("doctor() probes no driver for the CPU", async () => {
  const probed = () => {
    throw new Error("navigator.gpu was asked for");
  };
  await withPlatform(probed, async () => {
    const { code, text } = await runDoctor(FEW, { backend: "cpu" });
    assertEquals(code, 0, text);
  });
});
