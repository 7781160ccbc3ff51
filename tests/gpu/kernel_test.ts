import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { compileErrorMessage, defineKernel } from "../../src/gpu/kernel.ts";
import { Staging } from "../../src/gpu/readback.ts";
import { encode, Program } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { withGpu } from "../with_gpu.ts";
import { scaleKernel } from "./probe_kernel.ts";

const MATH = "// A prelude\nconst ONE = 1.0;\n";
const TILE = "// Another\nfn two() -> f32 {\n  return 2.0 * ONE;\n}\n";

/** Compiles and runs a kernel on a device of its own, and reads its result once: what does that throw? */
async function runOnce(source: string, _math = MATH, _tile = TILE): Promise<void> {
  using gpu = await openGpu();
  using y = createTensor(gpu, "y", [4]);
  using staging = await Staging.create(gpu, 16);
  using program = new Program(gpu);
  const kernel = defineKernel({
    name: "broken",
    preludes: { _math, _tile },
    source,
    bindings: { y: "write" },
    params: {},
    overrides: [],
    sizes: () => ({ y: 1 }),
  });
  const use = { tensors: { y }, overrides: {}, params: {}, label: "test" };
  program.add(kernel, { ...use, workgroups: [1, 1, 1] });
  const copy = { from: y, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: 16 };
  gpu.device.queue.submit([encode(gpu, [program], { after: [copy] })]);
  await staging.read();
}

Deno.test("defineKernel() points to the line in the kernel's own file, at the next readback", async () => {
  const binding = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n";
  const entry = "@compute @workgroup_size(1)\nfn broken() {\n";
  await runOnce(`${binding}${entry}  y[0] = ONE + two();\n}\n`);
  await assertRejects(
    () => runOnce(`${binding}${entry}  y[0] = MISSING;\n}\n`),
    SyntaxError,
    "Cannot compile kernels/broken.wgsl:4:10: no definition in scope for identifier",
  );
  await assertRejects(
    () => runOnce(`${binding}${entry}  y[0] = ONE;\n}\n`, "// A prelude\nconst ONE = ;\n"),
    SyntaxError,
    "Cannot compile kernels/_math.wgsl:2:13: ",
  );
  await assertRejects(
    () => runOnce(`${binding}${entry}  y[0] = ONE;\n}\n`, MATH, TILE.replace("ONE", "MISSING")),
    SyntaxError,
    "Cannot compile kernels/_tile.wgsl:3:16: ",
  );
  await assertRejects(
    () => runOnce(`${binding}@compute @workgroup_size(1)\nfn another() {}\n`),
    SyntaxError,
    "Cannot compile kernels/broken.wgsl: ",
  );
});

Deno.test("compileErrorMessage() makes one line of a report without a place", () => {
  assertEquals(
    compileErrorMessage("scale", {}, "\n  Limit exceeded\n   too many bindings\n"),
    "Cannot compile kernels/scale.wgsl: Limit exceeded: too many bindings",
  );
});

Deno.test("compileErrorMessage() finds the place in the report of each browser", () => {
  const expected = "Cannot compile kernels/broken.wgsl:3:10: unresolved value 'MISSING'";
  const reports = [
    // naga, in Deno and Firefox
    "\nShader 'broken' parsing error: unresolved value 'MISSING'\n  ┌─ wgsl:9:10\n  │\n9 │   y[0] = MISSING;\n",
    // Dawn, in Chrome
    "Error while parsing WGSL: :2:1 warning: code is unreachable\nfn two() {\n\n" +
    ":9:10 error: unresolved value 'MISSING'\n  y[0] = MISSING;\n         ^^^^^^^\n\n\n" +
    ' - While validating [ShaderModuleDescriptor ""broken""]\n' +
    ' - While calling [Device].CreateShaderModule([ShaderModuleDescriptor ""broken""]).\n',
    // WebKit, in Safari
    "1 error generated while compiling the shader:\n9:10: unresolved value 'MISSING'",
  ];
  for (const report of reports) {
    assertEquals(compileErrorMessage("broken", { _math: MATH, _tile: TILE }, report), expected);
    assertStringIncludes(
      compileErrorMessage("broken", { _math: MATH, _tile: TILE }, report.replace("9:10", "4:10")),
      "kernels/_tile.wgsl:2:10: ",
    );
  }
});

function dispatchScale(gpu: Gpu, change: Record<string, unknown>, kernel = scaleKernel): void {
  using x = createTensor(gpu, "x", [4]);
  using y = createTensor(gpu, "y", [4]);
  kernel.dispatch(gpu, {
    tensors: { x, y },
    overrides: { OFFSET: 1 },
    params: { factor: 1, count: 4 },
    workgroups: [1, 1, 1],
    label: "layers.3.scale",
    ...change,
  });
}

Deno.test(
  "Kernel.dispatch() refuses a missing override or param, by name",
  withGpu((gpu) => {
    dispatchScale(gpu, {});
    assertThrows(
      () => dispatchScale(gpu, { overrides: {} }),
      TypeError,
      "Cannot compile scale: override OFFSET is missing",
    );
    assertThrows(
      () => dispatchScale(gpu, { params: { factor: 1 } }),
      TypeError,
      "params.count is missing",
    );
  }),
);

Deno.test(
  "Kernel.dispatch() refuses grids that no device runs",
  withGpu((gpu) => {
    const most = gpu.device.limits.maxComputeWorkgroupsPerDimension;
    for (const count of [0, 0.5, NaN, most + 1]) {
      assertThrows(
        () => dispatchScale(gpu, { workgroups: [1, count, 1] }),
        RangeError,
        `Cannot dispatch scale in layers.3.scale: [1, ${count}, 1] workgroups, ` +
          `and each must be between 1 and ${most}`,
      );
    }
  }),
);

Deno.test(
  "Kernel.dispatch() refuses a tensor that one binding cannot hold",
  withGpu((gpu) => {
    using y = createTensor(gpu, "y", [4]);
    const most = gpu.device.limits.maxStorageBufferBindingSize;
    const x = Object.create(y, { sizeBytes: { value: most + 16 } });
    assertThrows(
      () => dispatchScale(gpu, { tensors: { x, y } }),
      RangeError,
      `Cannot bind "x" of scale in layers.3.scale: ${most + 16} bytes in one binding, ` +
        `and this device allows ${most}`,
    );
  }),
);

Deno.test(
  "Kernel.dispatch() compiles once for each set of overrides",
  withGpu((gpu) => {
    const before = gpu.pipelines.size;
    for (const OFFSET of [71, 72, 71, 72]) dispatchScale(gpu, { overrides: { OFFSET } });
    assertEquals(gpu.pipelines.size, before + 2);
  }),
);

Deno.test("Kernel.dispatch() compiles once for all that share a device, whichever of them is disposed", async () => {
  using owner = await openGpu();
  const sizes: number[] = [];
  for (let model = 0; model < 2; model++) {
    using gpu = await openGpu(owner.device);
    dispatchScale(gpu, { overrides: { OFFSET: 73 } });
    sizes.push(gpu.pipelines.size);
  }
  assertEquals(sizes, [1, 1]);
  assertEquals(owner.pipelines.size, 1);
});

Deno.test("a kernel that is refused is refused again to the next one on the device", async () => {
  using owner = await openGpu();
  for (let model = 0; model < 2; model++) {
    using gpu = await openGpu(owner.device);
    const refused = { ...scaleKernel, source: scaleKernel.source.replace("+ OFFSET", "+ MISSING") };
    dispatchScale(gpu, {}, defineKernel(refused));
    await gpu.device.queue.onSubmittedWorkDone();
    assertThrows(() => gpu.check(), SyntaxError, "Cannot compile kernels/scale.wgsl");
  }
});
