/**
 * Checks of a kernel against its oracle, as values: tests assert them, `doctor` reports them.
 *
 * Every tensor has GUARD more elements than its shape, and they are bound too: without them WebGPU clamps a
 * read past the end and drops a write, and the error stays hidden. Inputs' guards are NaN, so that a read past
 * the end poisons the result; those of outputs and states are a sentinel that must survive.
 */

import { matrixRowBytes } from "../model/weights/dtype.ts";
import { roundUp } from "../model/shapes.ts";
import type { Bench, Workspace } from "./bench.ts";
import { measureCloseness } from "./closeness.ts";
import type {
  CheckedOps,
  OpaqueMatrix,
  OpaqueProgram,
  OpaqueTensor,
  OpName,
} from "./checked_ops.ts";
import type { RoundedWeight } from "./ops/rounded_weight.ts";
import { spreadRows } from "./ops/spread_rows.ts";

/** What a check measured. */
export interface Measurement {
  /** max |a - b| / (atol + rtol |b|) over all outputs: above 1 fails. */
  readonly worst: number;
  /** The output and the element where that is, or which guard was written. */
  readonly detail: string;
}

/** One comparison of a kernel with its oracle. */
export interface KernelCheck {
  /** The WGSL file's name, or that of the like in another executor. */
  readonly kernel: string;
  /** The case. */
  readonly name: string;
  /** What it calls: an executor that lacks one of them cannot run it. */
  readonly ops: readonly OpName[];
  /** Makes tensors, runs the ops over them, and compares. */
  run(bench: Bench): Promise<Measurement>;
}

/** Those of the checks whose ops there are. */
export function checksWith(
  ops: Partial<Record<OpName, unknown>>,
  checks: readonly KernelCheck[],
): KernelCheck[] {
  return checks.filter((check) => check.ops.every((name) => ops[name] !== undefined));
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

const SENTINEL_WORD = new Uint32Array(new Float32Array([SENTINEL]).buffer)[0] ?? 0;

/** NaN as f32, and a pair of NaN as f16 and as bf16. */
const NAN_WORD = 0x7fff7fff;

interface Expectation {
  readonly name: string;
  readonly compare: (words: Uint32Array<ArrayBuffer>) => Measurement;
}

interface Output {
  readonly length: number;
  readonly guardWord: number;
  readonly expectations: Expectation[];
}

/** What is in a tensor that shares a binding: of an input, which kernels must leave as it is, or of a state. */
type Shared = { readonly input: Float32Array } | { readonly state: Float32Array };

/** A matrix that kernels write. */
export interface MatrixState {
  readonly matrix: OpaqueMatrix;
  /** Where its rows lie: name what is expected of it. */
  readonly tensor: OpaqueTensor;
  /** Rows as they lie there, each padded with zeros. */
  readonly padded: (rows: Float32Array | Float64Array) => Float32Array;
}

/** Tensors with guards, a program over them, and what is expected of it. */
export class KernelRun<Op extends OpName = never> implements Disposable {
  /** The ops that the check has asked for. */
  readonly ops: Pick<CheckedOps, Op>;
  /** Record the kernel here. */
  readonly program: OpaqueProgram;
  readonly #workspace: Workspace;
  readonly #outputs = new Map<OpaqueTensor, Output>();

  /** @throws {TypeError} If the bench lacks one of the ops. */
  constructor(bench: Bench, ops: readonly Op[]) {
    requireOps(bench, ops);
    this.ops = bench.ops;
    this.#workspace = bench.open();
    this.program = this.#workspace.program;
  }

  /** A tensor that kernels only read. */
  input(values: Float32Array | Uint32Array): OpaqueTensor {
    return this.#tensor(wordsOf(values), NAN_WORD);
  }

  /** A tensor that kernels write, of which nothing is known before: name what is expected of it. */
  output(length: number): OpaqueTensor {
    return this.#output(new Uint32Array(length).fill(SENTINEL_WORD));
  }

  /** A tensor that kernels read and write. */
  state(values: Float32Array | Uint32Array): OpaqueTensor {
    return this.#output(wordsOf(values));
  }

  /** A tensor that is bound as writable but that kernels must leave as it is. */
  readOnly(name: string, values: Uint32Array): OpaqueTensor {
    const tensor = this.state(values);
    this.expectWords(name, tensor, values);
    return tensor;
  }

  /** Tensors that a kernel has as one binding, in the order in which they lie there; guards follow each of them. */
  together<N extends string>(tensors: Readonly<Record<N, Shared>>): Record<N, OpaqueTensor> {
    const parts = Object.entries<Shared>(tensors).map(([name, values]) => {
      const [words, guardWord] = "input" in values
        ? [wordsOf(values.input), NAN_WORD]
        : [wordsOf(values.state), SENTINEL_WORD];
      return { name, words, guardWord, isInput: "input" in values };
    });
    const made = this.#workspace.tensors(
      parts.map(({ words, guardWord }) => guarded(words, guardWord)),
    );
    const named = parts.map(({ name, words, guardWord, isInput }, i) => {
      const tensor = made[i];
      if (tensor === undefined) throw new Error(`Cannot check: there is no tensor for ${name}`);
      this.#outputs.set(tensor, { length: words.length, guardWord, expectations: [] });
      if (isInput) this.expectWords(name, tensor, words);
      return [name, tensor] as const;
    });
    return Object.fromEntries(named) as Record<N, OpaqueTensor>;
  }

  /** A weight; guards follow each of its blocks. */
  matrix(
    weight: RoundedWeight,
    shape: readonly [number, number],
    rowsPerBlock?: number,
  ): OpaqueMatrix {
    const guard = new Uint32Array(GUARD).fill(NAN_WORD);
    return this.#workspace.matrix(weight, shape, { guard, rowsPerBlock });
  }

  /** A weight as training has it: f32, and where gradients and updates lie alike. */
  trainedMatrix(values: Float32Array, shape: readonly [number, number]): OpaqueMatrix {
    return this.#workspace.matrixOver(this.input(paddedRows(values, shape)), shape);
  }

  /** An f32 matrix that kernels read and write. */
  matrixState(values: Float32Array, shape: readonly [number, number]): MatrixState {
    const padded = (values: Float32Array | Float64Array) => paddedRows(values, shape);
    const tensor = this.state(padded(values));
    return { matrix: this.#workspace.matrixOver(tensor, shape), tensor, padded };
  }

  /** A tensor of which only the guard is compared; it holds NaN before, so that what nobody wrote poisons who reads it. */
  scratch(name: string, length: number): OpaqueTensor {
    const tensor = this.state(new Float32Array(length).fill(NaN));
    this.expectAnything(name, tensor);
    return tensor;
  }

  /** Says what floats the program leaves in an output or a state. */
  expect(name: string, tensor: OpaqueTensor, expected: ArrayLike<number>, limits: Limits): void {
    const compare = (words: Uint32Array<ArrayBuffer>): Measurement => {
      const { worst, index, ...values } = measureCloseness(floatsOf(words), expected, limits);
      return {
        worst,
        detail: `${name}[${index}] is ${values.actual}, expected ${values.expected}`,
      };
    };
    this.#expect(tensor, { name, compare }, expected.length);
  }

  /** Says what words the program leaves in an output or a state. */
  expectWords(name: string, tensor: OpaqueTensor, expected: Uint32Array): void {
    const compare = (actual: Uint32Array<ArrayBuffer>): Measurement => {
      const index = actual.findIndex((word, i) => word !== expected[i]);
      if (index < 0) return { worst: 0, detail: `${name} is as expected` };
      const detail = `${name}[${index}] is ${actual[index]}, expected ${expected[index]}`;
      return { worst: Infinity, detail };
    };
    this.#expect(tensor, { name, compare }, expected.length);
  }

  /** Hands an output's words to a comparison of the caller's. */
  expectThat(
    name: string,
    tensor: OpaqueTensor,
    compare: (words: Uint32Array<ArrayBuffer>) => Measurement,
  ): void {
    this.#expect(tensor, { name, compare });
  }

  /** Says that whatever the program leaves in an output is right. */
  expectAnything(name: string, tensor: OpaqueTensor): void {
    this.#expect(tensor, {
      name,
      compare: () => ({ worst: 0, detail: `${name} may be anything` }),
    });
  }

  /** Runs the program and compares everything. */
  async finish(): Promise<Measurement> {
    const outputs = [...this.#outputs];
    const found = await this.#workspace.run(outputs.map(([tensor]) => tensor));
    let result: Measurement = { worst: 0, detail: "nothing was compared" };
    for (const [i, [, { length, guardWord, expectations }]] of outputs.entries()) {
      const [first] = expectations;
      if (first === undefined) throw new Error("Cannot check: an output has no expectation");
      const words = found[i] ?? new Uint32Array();
      const results = expectations.map(({ compare }) => compare(words.slice(0, length)));
      results.push(checkGuard(first.name, words.subarray(length), guardWord));
      for (const each of results) if (!(each.worst <= result.worst)) result = each;
      if (result.worst === 0) result = results[0] ?? result;
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#workspace[Symbol.dispose]();
  }

  #output(words: Uint32Array): OpaqueTensor {
    const tensor = this.#tensor(words, SENTINEL_WORD);
    this.#outputs.set(tensor, {
      length: words.length,
      guardWord: SENTINEL_WORD,
      expectations: [],
    });
    return tensor;
  }

  #tensor(words: Uint32Array, guardWord: number): OpaqueTensor {
    return this.#workspace.tensor(guarded(words, guardWord));
  }

  #expect(tensor: OpaqueTensor, expectation: Expectation, length?: number): void {
    const output = this.#outputs.get(tensor);
    if (output === undefined || output.length !== (length ?? output.length)) {
      throw new RangeError(
        `Cannot compare ${expectation.name}: the tensor has ${output?.length}, expected ${length}`,
      );
    }
    output.expectations.push(expectation);
  }
}

/** What a check calls, and its run(): `record` makes the tensors, records the kernel, and says what is expected. */
export function checkKernel<Op extends OpName>(
  ops: readonly Op[],
  record: (run: KernelRun<Op>) => void,
): Pick<KernelCheck, "ops" | "run"> {
  return {
    ops,
    async run(bench) {
      const run = new KernelRun(bench, ops);
      try {
        record(run);
        return await run.finish();
      } finally {
        run[Symbol.dispose]();
      }
    },
  };
}

/** Rows as an f32 matrix has them, each padded with zeros. */
function paddedRows(
  values: Float32Array | Float64Array,
  [rows, columns]: readonly [number, number],
): Float32Array {
  const stride = matrixRowBytes(columns, "f32") / 4;
  const all = new Float32Array(rows * stride);
  all.set(spreadRows(values, columns, stride, 0));
  return all;
}

/** The words of a tensor as floats. */
export function floatsOf(words: Uint32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}

function wordsOf(values: Float32Array | Uint32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function requireOps<Op extends OpName>(
  bench: Bench,
  ops: readonly Op[],
): asserts bench is Bench & { readonly ops: Pick<CheckedOps, Op> } {
  const missing = ops.filter((name) => bench.ops[name] === undefined);
  if (missing.length === 0) return;
  throw new TypeError(`Cannot check: ${bench.device} has no ${missing.join(", ")}`);
}

function guarded(words: Uint32Array, guardWord: number): Uint32Array<ArrayBuffer> {
  const all = new Uint32Array(roundUp(words.length + GUARD, 4)).fill(guardWord);
  all.set(words);
  return all;
}

function checkGuard(name: string, guard: Uint32Array, guardWord: number): Measurement {
  const index = guard.findIndex((word) => word !== guardWord);
  if (index < 0) return { worst: 0, detail: `the guard of ${name} is whole` };
  return { worst: Infinity, detail: `the guard of ${name} was written at +${index}` };
}
