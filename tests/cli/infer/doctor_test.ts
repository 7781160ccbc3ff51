import { assert, assertEquals, assertMatch } from "@std/assert";
import { doctor } from "../../../src/cli/infer/doctor.ts";
import type { KernelCheck } from "../../../src/checks/kernel_check.ts";
import { ALL_KERNELS } from "../../../src/ops/kernels.ts";
import { KERNEL_CHECKS } from "../../../src/checks/kernel_checks.ts";

/** One check of each kernel: tests/ops runs them all. */
const SOME: readonly KernelCheck[] = [
  ...new Map(KERNEL_CHECKS.toReversed().map((check) => [check.kernel, check])).values(),
];

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

async function runDoctor(checks: readonly KernelCheck[], json = false) {
  let text = "";
  const code = await doctor({ json, checks, write: (part) => text += part });
  return { code, text };
}

Deno.test("KERNEL_CHECKS has checks of every kernel, each with a name of its own", () => {
  const checked = new Set(KERNEL_CHECKS.map(({ kernel }) => kernel));
  assertEquals(ALL_KERNELS.map(({ name }) => name).filter((name) => !checked.has(name)), []);
  const names = KERNEL_CHECKS.map(({ kernel, name }) => `${kernel}: ${name}`);
  assertEquals(names.filter((name, i) => names.indexOf(name) !== i), []);
});

Deno.test("doctor() describes the device and passes where every kernel does", async () => {
  const { code, text } = await runDoctor(SOME);
  assertEquals(code, 0, text);
  assertMatch(text, /^adapter {4}\S/);
  assertMatch(text, /limit {6}maxStorageBufferBindingSize [\d,]+ \(/);
  assertMatch(text, /readback {3}(at once|awaited), \d+\.\d\d ms/);
  for (const { name } of ALL_KERNELS) assertMatch(text, new RegExp(`^pass +${name} `, "m"));
  assertMatch(
    text,
    new RegExp(`All ${SOME.length} checks of ${SOME.length} kernels pass on .+\n$`),
  );
});

Deno.test("doctor() fails when one check is wrong, and says where", async () => {
  const { code, text } = await runDoctor([...SOME, WRONG, NOT_A_NUMBER]);
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
  const { code, text } = await runDoctor([REFUSED, ...SOME]);
  assertEquals(code, 1);
  assertMatch(text, /^ +a refused kernel: Cannot compile kernels\/broken_fwd\.wgsl:4:10/m);
  for (const { name } of ALL_KERNELS) assertMatch(text, new RegExp(`^pass +${name} `, "m"));
});

Deno.test("doctor() writes one object as JSON", async () => {
  const { code, text } = await runDoctor([...SOME, NOT_A_NUMBER], true);
  assertEquals(code, 1);
  const report = JSON.parse(text);
  assertEquals(report.passed, false);
  assertEquals(report.kernels.length, SOME.length);
  assert(report.limits.maxBufferSize > 0 && report.readback.promiseMs > 0);
  const conv1d = report.kernels.find(({ kernel }: KernelCheck) => kernel === "conv1d_fwd");
  assertEquals([conv1d.passed, conv1d.checks, conv1d.worst], [false, 2, null]);
  assertEquals(conv1d.failures[0].name, "no number");
});

Deno.test("doctor() fails with what to install where there is no adapter", async () => {
  const platform = Object.getOwnPropertyDescriptor(Navigator.prototype, "gpu") ?? {};
  Object.defineProperty(Navigator.prototype, "gpu", { configurable: true, value: undefined });
  try {
    const { code, text } = await runDoctor(SOME);
    assertEquals(code, 1);
    assertMatch(text, /^Cannot find a GPU adapter: .*mesa-vulkan-drivers/);
    assertMatch(JSON.parse((await runDoctor(SOME, true)).text).error, /^Cannot find a GPU adapter/);
  } finally {
    Object.defineProperty(Navigator.prototype, "gpu", platform);
  }
});
