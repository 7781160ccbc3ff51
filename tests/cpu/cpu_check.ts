/**
 * Checks of the CPU's ops against their oracles, as tests/ops/kernel_check.ts makes them of the GPU's kernels.
 *
 * Every tensor lies between guards of GUARD elements: those of inputs are NaN, so that a read past an end poisons the
 * result; those of outputs and states are a sentinel that must survive.
 */

import type { Cpu } from "../../src/cpu/module.ts";
import { type CpuMatrix, createCpuMatrix, writeMatrixRows } from "../../src/cpu/matrix.ts";
import { CpuProgram } from "../../src/cpu/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/tensor.ts";
import { measureCloseness } from "../../src/checks/closeness.ts";
import type { RoundedWeight } from "../../src/checks/ops/rounded_weight.ts";

/** What a check measured. */
export interface CheckResult {
  /** max |a - b| / (atol + rtol |b|) over all outputs: above 1 fails. */
  readonly worst: number;
  /** The output and the element where that is, or which guard was written. */
  readonly detail: string;
}

/** One comparison of an op with its oracle. */
export interface CpuCheck {
  /** The op's function. */
  readonly op: string;
  /** The case. */
  readonly name: string;
  run(cpu: Cpu): CheckResult;
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

/** Extra elements before and behind each tensor. */
const GUARD = 64;

/** What outputs hold before an op runs: small enough that adding to it shows. */
export const SENTINEL = 1234.5;

/** NaN as f32, and a pair of NaN as f16 and as bf16. */
const NAN_WORD = 0x7fff7fff;

interface Guarded {
  readonly whole: CpuTensor;
  readonly length: number;
}

interface Expectation {
  readonly name: string;
  readonly tensor: CpuTensor;
  readonly compare: (words: Uint32Array<ArrayBuffer>) => CheckResult;
}

/** Tensors with guards, a program over them, and what is expected of it. */
export class CpuRun implements Disposable {
  readonly cpu: Cpu;
  /** Record the op here. */
  readonly program: CpuProgram;
  readonly #owned = new DisposableStack();
  readonly #outputs = new Map<CpuTensor, Guarded>();
  readonly #expectations: Expectation[] = [];

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.program = this.#owned.use(new CpuProgram(cpu));
  }

  /** A tensor that ops only read. */
  input(values: Float32Array | Uint32Array): CpuTensor {
    const { whole } = this.#guarded(values.length, NAN_WORD);
    const tensor = whole.view(GUARD * 4, [values.length]);
    tensor.write(values);
    return tensor;
  }

  /** A tensor that ops write, of which nothing is known before: name what is expected of it. */
  output(length: number): CpuTensor {
    const guarded = this.#guarded(length, sentinelWord());
    const tensor = guarded.whole.view(GUARD * 4, [length]);
    this.#outputs.set(tensor, guarded);
    return tensor;
  }

  /** A tensor that ops read and write. */
  state(values: Float32Array | Uint32Array): CpuTensor {
    const tensor = this.output(values.length);
    tensor.write(values);
    return tensor;
  }

  /** A tensor that is given as writable but that ops must leave as it is. */
  readOnly(name: string, values: Uint32Array): CpuTensor {
    const tensor = this.state(values);
    this.expectWords(name, tensor, values);
    return tensor;
  }

  /** A matrix between guards of NaN. */
  matrix(weight: RoundedWeight, [rows, columns]: readonly [number, number]): CpuMatrix {
    const { dtype, stored } = weight;
    using exact = createCpuMatrix(this.cpu, "exact", [rows, columns], { dtype });
    const length = exact.sizeBytes / 4;
    const { whole } = this.#guarded(length, NAN_WORD);
    const tensor = whole.view(GUARD * 4, [length]);
    tensor.write(new Uint32Array(length));
    const matrix: CpuMatrix = { ...exact, address: tensor.address, [Symbol.dispose]() {} };
    writeMatrixRows(matrix, 0, stored);
    return matrix;
  }

  /** Says what floats the program leaves in an output or a state. */
  expect(name: string, tensor: CpuTensor, expected: ArrayLike<number>, limits: Limits): void {
    const compare = (words: Uint32Array<ArrayBuffer>): CheckResult => {
      const actual = new Float32Array(words.buffer, words.byteOffset, expected.length);
      const { worst, index, ...values } = measureCloseness(actual, expected, limits);
      return {
        worst,
        detail: `${name}[${index}] is ${values.actual}, expected ${values.expected}`,
      };
    };
    this.#expect({ name, tensor, compare }, expected.length);
  }

  /** Says what words the program leaves in an output or a state. */
  expectWords(name: string, tensor: CpuTensor, expected: Uint32Array): void {
    const compare = (actual: Uint32Array<ArrayBuffer>): CheckResult => {
      const index = expected.findIndex((word, i) => word !== actual[i]);
      if (index < 0) return { worst: 0, detail: `${name} is as expected` };
      const detail = `${name}[${index}] is ${actual[index]}, expected ${expected[index]}`;
      return { worst: Infinity, detail };
    };
    this.#expect({ name, tensor, compare }, expected.length);
  }

  /** Hands an output's words to a comparison of the caller's. */
  expectThat(
    name: string,
    tensor: CpuTensor,
    compare: (words: Uint32Array<ArrayBuffer>) => CheckResult,
  ): void {
    this.#expect({ name, tensor, compare }, tensor.size);
  }

  /** Runs the program and compares everything. */
  finish(): CheckResult {
    this.program.run();
    let result: CheckResult = { worst: 0, detail: "nothing was compared" };
    for (const [tensor, guarded] of this.#outputs) {
      const own = this.#expectations.filter((expectation) => expectation.tensor === tensor);
      const name = own[0]?.name;
      if (name === undefined) throw new Error("Cannot check: an output has no expectation");
      const words = new Uint32Array(tensor.readBytes().buffer);
      const results = own.map(({ compare }) => compare(words));
      results.push(checkGuards(name, guarded));
      for (const each of results) if (!(each.worst <= result.worst)) result = each;
      if (result.worst === 0) result = results[0] ?? result;
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  #guarded(length: number, guardWord: number): Guarded {
    const whole = this.#owned.use(createCpuTensor(this.cpu, "guarded", [length + 2 * GUARD]));
    whole.write(new Uint32Array(whole.size).fill(guardWord));
    return { whole, length };
  }

  #expect(expectation: Expectation, length: number): void {
    const own = this.#outputs.get(expectation.tensor)?.length;
    if (own !== length) {
      throw new RangeError(
        `Cannot compare ${expectation.name}: the tensor has ${own}, expected ${length}`,
      );
    }
    this.#expectations.push(expectation);
  }
}

/** Makes a check's run(): `record` makes the tensors, records the op, and says what is expected. */
export function checkOp(record: (run: CpuRun) => void): (cpu: Cpu) => CheckResult {
  return (cpu) => {
    using run = new CpuRun(cpu);
    record(run);
    return run.finish();
  };
}

function checkGuards(name: string, { whole, length }: Guarded): CheckResult {
  const words = new Uint32Array(whole.readBytes().buffer);
  const isWhole = (word: number) => word === sentinelWord();
  const before = words.subarray(0, GUARD).findLastIndex((word) => !isWhole(word));
  if (before >= 0) {
    return {
      worst: Infinity,
      detail: `the guard of ${name} was written at -${GUARD - before}`,
    };
  }
  const after = words.subarray(GUARD + length).findIndex((word) => !isWhole(word));
  if (after < 0) return { worst: 0, detail: `the guards of ${name} are whole` };
  return { worst: Infinity, detail: `the guard of ${name} was written at +${after}` };
}

function sentinelWord(): number {
  return new Uint32Array(new Float32Array([SENTINEL]).buffer)[0] ?? 0;
}
