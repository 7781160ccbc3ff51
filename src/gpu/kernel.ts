/** Kernels: WGSL text with its bindings declared once, compiled when first used. */

import type { Gpu } from "./device.ts";
import type { Tensor } from "./tensor.ts";

/** How a kernel uses a storage buffer. "write" and "read_write" are the same to WebGPU; the word is for the reader. */
export type Access = "read" | "write" | "read_write";

/** Storage buffers that a kernel may have: what WebGPU promises, and some devices give no more. */
export const MAX_STORAGE_BUFFERS = 8;

/** What is declared of a kernel's own text, which says the same, in the same order. */
export interface KernelDeclaration<B extends string, P extends string, O extends string> {
  /** Entry point, and the file's name. */
  readonly name: string;
  /** Text of the WGSL file. */
  readonly source: string;
  /** Storage buffers, in the order of their binding numbers. */
  readonly bindings: Readonly<Record<B, Access>>;
  /** Members of the `params` uniform, which is the last binding; empty where there is none. */
  readonly params: Readonly<Record<P, "u32" | "f32">>;
  /** Names of the pipeline constants: each must be given. */
  readonly overrides: readonly O[];
  /**
   * The least number of elements of each tensor, from what a use says of overrides and params: WebGPU would clamp what
   * goes past the end, and give wrong numbers.
   */
  readonly sizes: (
    values: Readonly<Record<O | P, number>>,
    workgroups: readonly [number, number, number],
  ) => Readonly<Record<B, number>>;
}

/** What {@linkcode defineKernel} is told. */
export interface KernelSpec<B extends string, P extends string, O extends string>
  extends KernelDeclaration<B, P, O> {
  /** Texts that go before the kernel's, by the names of their files; errors are reported in lines of each file itself. */
  readonly preludes: Readonly<Record<string, string>>;
}

/** One use of a kernel: what is bound, the constants, and the grid. */
export interface KernelUse<B extends string, P extends string, O extends string> {
  /** A tensor for each binding. */
  readonly tensors: Readonly<Record<B, Tensor>>;
  /** A value for each override. */
  readonly overrides: Readonly<Record<O, number | boolean>>;
  /** A value for each member of `params`. */
  readonly params: Readonly<Record<P, number>>;
  /** Number of workgroups along x, y, z. */
  readonly workgroups: readonly [number, number, number];
  /** Layer and op, for profiles and errors: `layers.3.mixer.conv1d_fwd`. */
  readonly label: string;
}

/** A dispatch ready to be recorded: see `program.ts`. */
export interface Dispatch {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly tensors: readonly Tensor[];
  /** Bytes of the params uniform; empty where the kernel has none. */
  readonly params: Uint8Array;
  readonly workgroups: readonly [number, number, number];
}

/** A kernel, as its op file declares it. */
export interface Kernel<
  B extends string = string,
  P extends string = string,
  O extends string = string,
> extends KernelSpec<B, P, O> {
  /** Checks a use of the kernel and makes the dispatch of it. */
  dispatch(gpu: Gpu, use: KernelUse<B, P, O>): Dispatch;
}

/**
 * Declares a kernel.
 *
 * Layouts are explicit: with `layout: "auto"` a binding that an override switches off vanishes, and the bind group fails.
 */
export function defineKernel<B extends string, P extends string, O extends string>(
  spec: KernelSpec<B, P, O>,
): Kernel<B, P, O> {
  const names = Object.keys(spec.bindings) as B[];
  return {
    ...spec,
    dispatch(gpu: Gpu, use: KernelUse<B, P, O>): Dispatch {
      const tensors = names.map((name) => use.tensors[name]);
      checkLimits(gpu, spec.name, names, tensors, use);
      const { label, workgroups } = use;
      const pipeline = pipelineFor(gpu, spec, use.overrides);
      const params = encodeParams(spec.params, use.params);
      checkSizes(spec, use);
      return { label, pipeline, tensors, params, workgroups };
    },
  };
}

function checkLimits(
  gpu: Gpu,
  kernel: string,
  names: readonly string[],
  tensors: readonly Tensor[],
  use: { readonly workgroups: readonly number[]; readonly label: string },
): void {
  const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = gpu.device.limits;
  for (const [index, tensor] of tensors.entries()) {
    if (tensor.sizeBytes > maxStorageBufferBindingSize) {
      throw new RangeError(
        `Cannot bind "${
          names[index]
        }" of ${kernel} in ${use.label}: ${tensor.sizeBytes} bytes in one binding, ` +
          `and this device allows ${maxStorageBufferBindingSize}`,
      );
    }
  }
  for (const count of use.workgroups) {
    if (!Number.isInteger(count) || count < 1 || count > maxComputeWorkgroupsPerDimension) {
      throw new RangeError(
        `Cannot dispatch ${kernel} in ${use.label}: [${use.workgroups.join(", ")}] workgroups, ` +
          `and each must be between 1 and ${maxComputeWorkgroupsPerDimension}`,
      );
    }
  }
}

function checkSizes<B extends string, P extends string, O extends string>(
  { name, bindings, sizes }: KernelSpec<B, P, O>,
  { tensors, overrides, params, workgroups, label }: KernelUse<B, P, O>,
): void {
  const values = Object.entries<number | boolean>({ ...overrides, ...params })
    .map(([name, value]) => [name, Number(value)]);
  const least = sizes(Object.fromEntries(values), workgroups);
  for (const binding of Object.keys(bindings) as B[]) {
    const [needed, { sizeBytes }] = [4 * least[binding], tensors[binding]];
    // What is not a number is refused, too.
    if (!(needed <= sizeBytes)) {
      throw new RangeError(
        `Cannot bind "${binding}" of ${name} in ${label}: the tensor has ${sizeBytes} bytes, ` +
          `and ${needed} are needed`,
      );
    }
  }
}

function encodeParams(
  kinds: Readonly<Record<string, "u32" | "f32">>,
  values: Readonly<Record<string, number>>,
): Uint8Array {
  const names = Object.keys(kinds);
  // A uniform struct of scalars has a size that is a multiple of 4; 16 keeps every backend content.
  const view = new DataView(new ArrayBuffer(Math.ceil(names.length / 4) * 16));
  names.forEach((name, index) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`Cannot dispatch: params.${name} is missing`);
    if (kinds[name] === "u32") view.setUint32(index * 4, value, true);
    else view.setFloat32(index * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

function pipelineFor(
  gpu: Gpu,
  spec: KernelSpec<string, string, string>,
  overrides: Readonly<Record<string, number | boolean>>,
): GPUComputePipeline {
  const constants: Record<string, number> = {};
  for (const name of spec.overrides) {
    const value = overrides[name];
    if (value === undefined) {
      throw new TypeError(`Cannot compile ${spec.name}: override ${name} is missing`);
    }
    constants[name] = Number(value);
  }
  const key = `${spec.name} ${JSON.stringify(constants)}`;
  let pipeline = gpu.pipelines.get(key);
  if (pipeline === undefined) {
    // One that was refused is not kept: whoever asks next on this device is to be told the same.
    pipeline = compile(gpu, spec, constants, () => gpu.pipelines.delete(key));
    gpu.pipelines.set(key, pipeline);
  }
  return pipeline;
}

function compile(
  gpu: Gpu,
  spec: KernelSpec<string, string, string>,
  constants: Record<string, number>,
  onRefused: () => void,
): GPUComputePipeline {
  const { device } = gpu;
  device.pushErrorScope("validation");
  const entries: GPUBindGroupLayoutEntry[] = Object.values(spec.bindings).map((
    access,
    binding,
  ) => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    buffer: { type: access === "read" ? "read-only-storage" : "storage" },
  }));
  if (Object.keys(spec.params).length > 0) {
    entries.push({
      binding: entries.length,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: "uniform" },
    });
  }
  const bindGroupLayout = device.createBindGroupLayout({ label: spec.name, entries });
  const code = [...Object.values(spec.preludes), spec.source].join("");
  const pipeline = device.createComputePipeline({
    label: spec.name,
    layout: device.createPipelineLayout({ label: spec.name, bindGroupLayouts: [bindGroupLayout] }),
    compute: {
      module: device.createShaderModule({ label: spec.name, code }),
      entryPoint: spec.name,
      constants,
    },
  });
  device.popErrorScope().then((error) => {
    if (error === null) return;
    onRefused();
    gpu.fail(new SyntaxError(compileErrorMessage(spec.name, spec.preludes, error.message)));
  }, () => {/* The device is gone; device.lost reports that. */});
  return pipeline;
}

/**
 * How compilers say where an error is, counted from the start of preludes and source together: naga (Deno, Firefox)
 * prints `┌─ wgsl:41:14` above the source that it quotes, Dawn (Chrome) `:41:14 error: ` before what is wrong, and
 * WebKit `41:14: `.
 */
const PLACES = [/wgsl:(\d+):(\d+)/, /^.*:(\d+):(\d+) error: /m, /^(\d+):(\d+): /m];

/** What is wrong, which follows "error: " or, in WebKit, the place. */
const SUMMARIES = [/error: (.*)/, /^\d+:\d+: (.*)/m];

/** One line from the compiler's report, with the position in the kernel's own file or in a prelude's. */
export function compileErrorMessage(
  name: string,
  preludes: Readonly<Record<string, string>>,
  report: string,
): string {
  const place = firstMatch(PLACES, report);
  const summary = (firstMatch(SUMMARIES, report)?.[1] ??
    report.split("\n").map((line) => line.trim()).filter((line) => line !== "").join(": ")).trim();
  if (place === undefined) return `Cannot compile kernels/${name}.wgsl: ${summary}`;
  let file = name;
  let line = Number(place[1]);
  for (const [prelude, text] of Object.entries(preludes)) {
    const lines = text.split("\n").length - 1;
    if (line <= lines) {
      file = prelude;
      break;
    }
    line -= lines;
  }
  return `Cannot compile kernels/${file}.wgsl:${line}:${place[2]}: ${summary}`;
}

function firstMatch(patterns: readonly RegExp[], text: string): RegExpExecArray | undefined {
  for (const pattern of patterns) {
    const found = pattern.exec(text);
    if (found !== null) return found;
  }
  return undefined;
}
