/** Programs: lists of dispatches, recorded once and encoded as often as needed. */

import type { Gpu } from "./device.ts";
import type { Dispatch, Kernel, KernelUse } from "./kernel.ts";
import { readBuffer } from "./readback.ts";

/** Uniform bindings start at multiples of this, whatever the device. */
const UNIFORM_ALIGNMENT = 256;

interface Recorded {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** A copy between buffers that follows a pass. */
export interface Copy {
  readonly from: { readonly buffer: GPUBuffer; readonly offset: number };
  readonly to: { readonly buffer: GPUBuffer; readonly offset: number };
  readonly sizeBytes: number;
}

/**
 * A fixed list of dispatches over fixed tensors.
 *
 * Recording makes the bind groups and one uniform buffer that holds every distinct `params`; encoding afterwards
 * allocates nothing on the GPU, which is what keeps a token free of allocations.
 */
export class Program implements Disposable {
  /** The device. */
  readonly gpu: Gpu;
  /** Whether no bit of a row may depend on how many rows there are: a sequence is cut wherever there is time. */
  readonly sameBits: boolean;
  readonly #pending: Dispatch[] = [];
  #recorded: readonly Recorded[] | undefined;
  #uniforms: GPUBuffer | undefined;

  /** An empty program for the device. */
  constructor(
    gpu: Gpu,
    { sameBits = false }: { readonly sameBits?: boolean } = {},
  ) {
    this.gpu = gpu;
    this.sameBits = sameBits;
  }

  /** Appends one dispatch of a kernel. */
  add<B extends string, P extends string, O extends string>(
    kernel: Kernel<B, P, O>,
    use: KernelUse<B, P, O>,
  ): void {
    if (this.#recorded !== undefined) {
      throw new Error(`Cannot add ${use.label}: the program is in use`);
    }
    this.#pending.push(kernel.dispatch(this.gpu, use));
  }

  /** Number of dispatches. */
  get length(): number {
    return this.#recorded?.length ?? this.#pending.length;
  }

  /** Labels of the dispatches in order. */
  get labels(): string[] {
    return (this.#recorded ?? this.#pending).map(({ label }) => label);
  }

  /** Dispatches everything into an open pass, or the dispatches from `start` to before `end`. */
  encode(pass: GPUComputePassEncoder, start?: number, end?: number): void {
    const all = this.#finish();
    const some = start === undefined ? all : all.slice(start, end);
    for (const dispatch of some) encodeOne(pass, dispatch);
  }

  /** Dispatches everything, each in a timed pass of its own; needs `timestamp-query`. */
  encodeTimed(encoder: GPUCommandEncoder, querySet: GPUQuerySet): void {
    for (const [index, dispatch] of this.#finish().entries()) {
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet,
          beginningOfPassWriteIndex: 2 * index,
          endOfPassWriteIndex: 2 * index + 1,
        },
      });
      encodeOne(pass, dispatch);
      pass.end();
    }
  }

  #finish(): readonly Recorded[] {
    if (this.#recorded !== undefined) return this.#recorded;
    const { device } = this.gpu;
    const offsets = new Map<string, number>();
    for (const { params } of this.#pending) {
      const key = params.join();
      if (params.length > 0 && !offsets.has(key)) {
        offsets.set(key, offsets.size * UNIFORM_ALIGNMENT);
      }
    }
    if (offsets.size > 0) {
      this.#uniforms = device.createBuffer({
        label: "params",
        size: offsets.size * UNIFORM_ALIGNMENT,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      });
      this.gpu.live.sizeBytes += this.#uniforms.size;
      this.gpu.live.count += 1;
    }
    this.#recorded = this.gpu.watch(() => this.#bind(offsets));
    this.#pending.length = 0;
    return this.#recorded;
  }

  /** Bind groups over the tensors, and over the params at `offsets` in the uniform buffer, which it writes. */
  #bind(offsets: ReadonlyMap<string, number>): Recorded[] {
    const { device } = this.gpu;
    const written = new Set<number>();
    return this.#pending.map((dispatch) => {
      const entries: GPUBindGroupEntry[] = dispatch.tensors.map((tensor, binding) => ({
        binding,
        resource: { buffer: tensor.buffer, offset: tensor.offset, size: tensor.sizeBytes },
      }));
      const offset = offsets.get(dispatch.params.join());
      if (this.#uniforms !== undefined && offset !== undefined) {
        if (!written.has(offset)) {
          device.queue.writeBuffer(
            this.#uniforms,
            offset,
            dispatch.params as Uint8Array<ArrayBuffer>,
          );
          written.add(offset);
        }
        entries.push({
          binding: entries.length,
          resource: { buffer: this.#uniforms, offset, size: dispatch.params.length },
        });
      }
      const { label, pipeline, workgroups } = dispatch;
      const layout = pipeline.getBindGroupLayout(0);
      return {
        label,
        pipeline,
        workgroups,
        bindGroup: device.createBindGroup({ label, layout, entries }),
      };
    });
  }

  /** Frees the uniform buffer; the tensors belong to others. */
  [Symbol.dispose](): void {
    if (this.#uniforms === undefined) return;
    this.gpu.live.sizeBytes -= this.#uniforms.size;
    this.gpu.live.count -= 1;
    this.#uniforms.destroy();
    this.#uniforms = undefined;
  }
}

function encodeOne(pass: GPUComputePassEncoder, dispatch: Recorded): void {
  pass.setPipeline(dispatch.pipeline);
  pass.setBindGroup(0, dispatch.bindGroup);
  pass.dispatchWorkgroups(...dispatch.workgroups);
}

/** A range of a buffer. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What is done before and after a pass. */
interface PassCopies {
  readonly clear?: readonly BufferRange[];
  readonly before?: readonly Copy[];
  readonly after?: readonly Copy[];
}

/**
 * Encodes ranges to clear, copies, programs in order and in one pass, and copies. Submit the result with
 * `gpu.device.queue.submit`.
 */
export function encode(
  gpu: Gpu,
  programs: Iterable<Program>,
  copies: PassCopies = {},
): GPUCommandBuffer {
  return encodeWith(gpu, (pass) => {
    for (const program of programs) program.encode(pass);
  }, copies);
}

function encodeWith(
  gpu: Gpu,
  record: (pass: GPUComputePassEncoder) => void,
  copies: PassCopies = {},
): GPUCommandBuffer {
  return gpu.watch(() => {
    const encoder = gpu.device.createCommandEncoder();
    for (const { buffer, offset, sizeBytes } of copies.clear ?? []) {
      encoder.clearBuffer(buffer, offset, sizeBytes);
    }
    for (const copy of copies.before ?? []) encodeCopy(encoder, copy);
    const pass = encoder.beginComputePass();
    record(pass);
    pass.end();
    for (const copy of copies.after ?? []) encodeCopy(encoder, copy);
    return encoder.finish();
  });
}

function encodeCopy(encoder: GPUCommandEncoder, { from, to, sizeBytes }: Copy): void {
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, sizeBytes);
}

/** Encodes programs in one pass, and submits them. */
export function submit(gpu: Gpu, programs: Iterable<Program>): void {
  gpu.device.queue.submit([encode(gpu, programs)]);
}

/** Dispatches of a long program's first command buffer. */
const FIRST_DISPATCHES = 16;

/** How many times as long the next one is: a device is busy with one for longer than the next takes to encode. */
const GROWTH = 4;

/** Dispatches from which it pays to submit a program in parts. */
const LONG_PROGRAM = 128;

/**
 * Submits a program with copies before and after it. One of many dispatches goes in several command buffers, so that
 * the device is at work on the first while the others are encoded.
 */
export function submitEarly(
  gpu: Gpu,
  program: Program,
  { before = [], after = [] }: Pick<PassCopies, "before" | "after"> = {},
): void {
  const submitPart = (start: number, end: number, copies: PassCopies) =>
    gpu.device.queue.submit([encodeWith(gpu, (pass) => program.encode(pass, start, end), copies)]);
  const { length } = program;
  let start = 0;
  for (let size = FIRST_DISPATCHES; length >= LONG_PROGRAM && start + size < length;) {
    submitPart(start, start + size, start === 0 ? { before } : {});
    start += size;
    size *= GROWTH;
  }
  submitPart(start, length, { after, ...start === 0 ? { before } : {} });
}

/** What {@linkcode profile} measured of one dispatch. */
export interface DispatchTime {
  readonly label: string;
  /** Time on the GPU, in microseconds. */
  readonly microseconds: number;
}

/**
 * Runs a program once with every dispatch timed on the GPU.
 *
 * Each dispatch gets a pass of its own, which costs more than sharing one: add up the shares, not the total.
 *
 * @throws {Error} If the device has no `timestamp-query`.
 */
export async function profile(gpu: Gpu, program: Program): Promise<DispatchTime[]> {
  const labels = program.labels;
  const times = await withQueries(gpu, labels.length * 2, (encoder, querySet) => {
    program.encodeTimed(encoder, querySet);
  });
  return labels.map((label, index) => ({
    label,
    microseconds: Number((times[2 * index + 1] ?? 0n) - (times[2 * index] ?? 0n)) / 1000,
  }));
}

/** Runs programs in one pass, after clearing ranges, and returns the pass's time on the GPU, in microseconds. */
export async function timePass(
  gpu: Gpu,
  programs: Iterable<Program>,
  clear: readonly BufferRange[] = [],
): Promise<number> {
  const [begin = 0n, end = 0n] = await withQueries(gpu, 2, (encoder, querySet) => {
    for (const { buffer, offset, sizeBytes } of clear) {
      encoder.clearBuffer(buffer, offset, sizeBytes);
    }
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    for (const program of programs) program.encode(pass);
    pass.end();
  });
  return Number(end - begin) / 1000;
}

async function withQueries(
  gpu: Gpu,
  count: number,
  record: (encoder: GPUCommandEncoder, querySet: GPUQuerySet) => void,
): Promise<BigUint64Array> {
  if (!gpu.hasTimestamps) {
    throw new Error(`Cannot time kernels: ${gpu.name} has no timestamp-query`);
  }
  const querySet = gpu.device.createQuerySet({ type: "timestamp", count });
  const resolved = gpu.device.createBuffer({
    size: count * 8,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  try {
    const encoder = gpu.device.createCommandEncoder();
    record(encoder, querySet);
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    gpu.device.queue.submit([encoder.finish()]);
    const bytes = await readBuffer(gpu, { buffer: resolved, offset: 0 }, count * 8);
    return new BigUint64Array(bytes.buffer, bytes.byteOffset, count);
  } finally {
    resolved.destroy();
    querySet.destroy();
  }
}
