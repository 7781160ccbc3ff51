/**
 * Checks of a kernel against its oracle, as values: tests assert them, `doctor` reports them.
 *
 * Every tensor has GUARD more elements than its shape, and they are bound too: without them WebGPU clamps a
 * read past the end and drops a write, and the error stays hidden. Inputs' guards are NaN, so that a read past
 * the end poisons the result; those of outputs and states are a sentinel that must survive.
 */

import type { Gpu } from "../gpu/device.ts";
import { Staging } from "../gpu/readback.ts";
import { encode, Program } from "../gpu/program.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { createMatrix, type Matrix, writeMatrixRows } from "../ops/matrix.ts";
import { measureCloseness } from "./closeness.ts";
import type { RoundedWeight } from "./ops/rounded_weight.ts";

/** What a check measured. */
export interface CheckResult {
  /** max |a - b| / (atol + rtol |b|) over all outputs: above 1 fails. */
  readonly worst: number;
  /** The output and the element where that is, or which guard was written. */
  readonly detail: string;
}

/** One comparison of a kernel with its oracle. */
export interface KernelCheck {
  /** The WGSL file's name. */
  readonly kernel: string;
  /** The case. */
  readonly name: string;
  run(gpu: Gpu): Promise<CheckResult>;
}

/** Allowed error: see assertClose(). */
export interface Limits {
  readonly rtol: number;
  readonly atol: number;
}

/** For results that involve no rounding. */
export const EXACT: Limits = { rtol: 0, atol: 0 };

/** For ops with a few roundings an element. */
export const ELEMENTWISE: Limits = { rtol: 1e-5, atol: 1e-6 };

/** Extra elements behind each tensor. */
const GUARD = 64;

/** What outputs hold before a kernel runs: small enough that adding to it shows. */
export const SENTINEL = 1234.5;

/** NaN as f32, and a pair of NaN as f16 and as bf16. */
const NAN_WORD = 0x7fff7fff;

interface Expectation {
  readonly name: string;
  readonly tensor: Tensor;
  readonly compare: (bytes: Uint8Array<ArrayBuffer>) => CheckResult;
}

/** Tensors with guards, a program over them, and what is expected of it. */
export class KernelRun implements Disposable {
  readonly gpu: Gpu;
  /** Record the kernel here. */
  readonly program: Program;
  readonly #owned: Disposable[] = [];
  readonly #lengths = new Map<Tensor, number>();
  readonly #expectations: Expectation[] = [];

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.program = new Program(gpu);
  }

  /** A tensor that kernels only read. */
  input(values: Float32Array | Uint32Array): Tensor {
    const tensor = this.#tensor(values.length, NAN_WORD);
    tensor.write(values);
    return tensor;
  }

  /** A tensor that kernels write, of which nothing is known before: name what is expected of it. */
  output(length: number): Tensor {
    const tensor = this.#tensor(length, sentinelWord());
    this.#lengths.set(tensor, length);
    return tensor;
  }

  /** A tensor that kernels read and write. */
  state(values: Float32Array | Uint32Array): Tensor {
    const tensor = this.output(values.length);
    tensor.write(values);
    return tensor;
  }

  /** A tensor that is bound as writable but that kernels must leave as it is. */
  readOnly(name: string, values: Uint32Array): Tensor {
    const tensor = this.state(values);
    this.expectWords(name, tensor, values);
    return tensor;
  }

  /** A matrix; guards follow each of its blocks. */
  matrix(
    weight: RoundedWeight,
    shape: readonly [number, number],
    maxBindingBytes?: number,
  ): Matrix {
    const { dtype, stored } = weight;
    const options = maxBindingBytes === undefined ? { dtype } : { dtype, maxBindingBytes };
    using exact = createMatrix(this.gpu, "exact", shape, options);
    const blocks = exact.blocks.map((block) => {
      const words = block.tensor.size;
      const tensor = this.#tensor(words, NAN_WORD);
      return { ...block, tensor };
    });
    const matrix: Matrix = { ...exact, blocks, [Symbol.dispose]() {} };
    writeMatrixRows(matrix, 0, stored);
    return matrix;
  }

  /** Says what floats the program leaves in an output or a state. */
  expect(name: string, tensor: Tensor, expected: ArrayLike<number>, limits: Limits): void {
    const compare = (bytes: Uint8Array<ArrayBuffer>): CheckResult => {
      const actual = new Float32Array(bytes.buffer, 0, expected.length);
      const { worst, index, ...values } = measureCloseness(actual, expected, limits);
      return {
        worst,
        detail: `${name}[${index}] is ${values.actual}, expected ${values.expected}`,
      };
    };
    this.#expect({ name, tensor, compare }, expected.length);
  }

  /** Says what words the program leaves in an output or a state. */
  expectWords(name: string, tensor: Tensor, expected: Uint32Array): void {
    const compare = (bytes: Uint8Array<ArrayBuffer>): CheckResult => {
      const actual = new Uint32Array(bytes.buffer, 0, expected.length);
      const index = actual.findIndex((word, i) => word !== expected[i]);
      if (index < 0) return { worst: 0, detail: `${name} is as expected` };
      const detail = `${name}[${index}] is ${actual[index]}, expected ${expected[index]}`;
      return { worst: Infinity, detail };
    };
    this.#expect({ name, tensor, compare }, expected.length);
  }

  /** Hands an output's words to a comparison of the caller's. */
  expectThat(
    name: string,
    tensor: Tensor,
    compare: (words: Uint32Array<ArrayBuffer>) => CheckResult,
  ): void {
    const length = this.#lengths.get(tensor) ?? 0;
    const words = (bytes: Uint8Array<ArrayBuffer>) => new Uint32Array(bytes.buffer, 0, length);
    this.#expect({ name, tensor, compare: (bytes) => compare(words(bytes)) }, length);
  }

  /** Runs the program and compares everything. */
  async finish(): Promise<CheckResult> {
    const tensors = [...this.#lengths.keys()];
    const sizes = tensors.map(({ sizeBytes }) => sizeBytes);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    using staging = await Staging.create(this.gpu, total);
    const { buffer } = staging;
    const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
    const after = tensors.map((from, i) => ({
      from,
      to: { buffer, offset: starts[i] ?? 0 },
      sizeBytes: from.sizeBytes,
    }));
    this.gpu.device.queue.submit([encode(this.gpu, [this.program], { after })]);
    const all = await staging.read();
    let result: CheckResult = { worst: 0, detail: "nothing was compared" };
    for (const [i, tensor] of tensors.entries()) {
      const start = starts[i] ?? 0;
      const bytes = all.slice(start, start + tensor.sizeBytes);
      const own = this.#expectations.filter((expectation) => expectation.tensor === tensor);
      if (own.length === 0) throw new Error("Cannot check: an output has no expectation");
      const name = own[0]?.name ?? "";
      const results = own.map(({ compare }) => compare(bytes));
      results.push(checkGuard(name, bytes, this.#lengths.get(tensor) ?? 0));
      for (const each of results) if (!(each.worst <= result.worst)) result = each;
      if (result.worst === 0) result = results[0] ?? result;
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.program[Symbol.dispose]();
    for (const owned of this.#owned) owned[Symbol.dispose]();
  }

  #tensor(length: number, guardWord: number): Tensor {
    const tensor = createTensor(this.gpu, "guarded", [length + GUARD]);
    tensor.write(new Uint32Array(tensor.sizeBytes / 4).fill(guardWord));
    this.#owned.push(tensor);
    return tensor;
  }

  #expect(expectation: Expectation, length: number): void {
    const own = this.#lengths.get(expectation.tensor);
    if (own !== length) {
      throw new RangeError(
        `Cannot compare ${expectation.name}: the tensor has ${own}, expected ${length}`,
      );
    }
    this.#expectations.push(expectation);
  }
}

/** Makes a check's run(): `record` makes the tensors, records the kernel, and says what is expected. */
export function checkKernel(
  record: (run: KernelRun) => void,
): (gpu: Gpu) => Promise<CheckResult> {
  return async (gpu) => {
    using run = new KernelRun(gpu);
    record(run);
    return await run.finish();
  };
}

function checkGuard(name: string, bytes: Uint8Array<ArrayBuffer>, length: number): CheckResult {
  const guard = new Uint32Array(bytes.buffer, length * 4);
  const index = guard.findIndex((word) => word !== sentinelWord());
  if (index < 0) return { worst: 0, detail: `the guard of ${name} is whole` };
  return { worst: Infinity, detail: `the guard of ${name} was written at +${index}` };
}

function sentinelWord(): number {
  return new Uint32Array(new Float32Array([SENTINEL]).buffer)[0] ?? 0;
}
