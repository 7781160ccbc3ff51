/** Quantizing on several threads: rows of a piece are shared among workers, which come to the bytes of one thread. */

import { type DType, toFloat32 } from "../io/dtype.ts";
import {
  makeQuantizer,
  QUANT_GROUP,
  type QuantizedDType,
  type QuantizedRows,
  type Quantizer,
  quantizeRows,
} from "../model/weights/quantize.ts";
import { type Float16, makeFloat16 } from "../runtime/float16.ts";
import { type Answer, type MessageWorker, startMessageWorker } from "../runtime/message_worker.ts";
import { release, requireFloat32 } from "./tensor_pieces.ts";

/** Bytes of an element, of the types that workers read. */
const SIZES: Readonly<Partial<Record<DType, number>>> = { F32: 4, F16: 2, BF16: 2 };

/** Whole rows as they are stored, and what they are to become. */
export interface StoredRows {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly stored: DType;
  readonly columns: number;
  readonly dtype: QuantizedDType;
}

/** What a worker is to quantize. */
interface Task extends StoredRows {
  /** What the first row is called where there is something wrong. */
  readonly firstRow: number;
}

/** What comes of it: rows, or what is wrong with them. */
type Reply = QuantizedRows | { readonly problem: string };

/** Some rows of a piece, quantized. */
export interface QuantizedPart {
  /** The first one, counted from the piece's. */
  readonly firstRow: number;
  readonly rows: QuantizedRows;
}

/** A worker with fewer bytes is not worth the way there and back. */
const MIN_PART_BYTES = 2 ** 18;

/** Makes a worker's answers. It refers to nothing outside itself but types: workers are given its text. */
function makeAnswer(float16: Float16, { quantize }: Quantizer): Answer<Task, Reply> {
  function floats({ bytes, stored }: Task): Float32Array<ArrayBuffer> {
    if (stored === "F32") return new Float32Array(bytes.buffer);
    const halves = new Uint16Array(bytes.buffer);
    if (stored === "F16") return float16.decode(halves);
    const words = new Uint32Array(halves.length);
    for (let i = 0; i < halves.length; i++) words[i] = (halves[i] ?? 0) << 16;
    return new Float32Array(words.buffer);
  }

  return (task) => {
    const values = floats(task);
    try {
      const rows = quantize(values, task.columns, task.dtype, task.firstRow);
      return [rows, [rows.codes.buffer, rows.scales.buffer]];
    } catch (error) {
      return [{ problem: error instanceof Error ? error.message : String(error) }, []];
    } finally {
      // Garbage is collected late, and tasks come fast.
      if (values.buffer !== task.bytes.buffer) values.buffer.transfer(0);
      task.bytes.buffer.transfer(0);
    }
  };
}

const SOURCE = `const float16 = (${makeFloat16})();
const answer = (${makeAnswer})(float16, (${makeQuantizer})(float16, ${QUANT_GROUP}));`;

/** What a worker is asked, and whoever waits for the answer: undefined where there is none any more. */
interface Helper {
  readonly worker: MessageWorker<Task>;
  waiting: PromiseWithResolvers<Reply | undefined> | undefined;
  failed: boolean;
}

/** Workers, or none: then it is done here. */
export class Quantizing implements Disposable {
  #helpers: Helper[] = [];

  /** @param threads How many work; with one, it is this one. */
  constructor(threads: number) {
    for (let i = 0; threads > 1 && i < threads; i++) {
      const helper = startHelper();
      if (helper === undefined) return;
      this.#helpers.push(helper);
    }
  }

  /**
   * Quantizes rows, which stay the caller's: in parts, whose bytes are those of one thread.
   *
   * @throws {RangeError} If a value is not finite, or so large that its scale is beyond f16: the first one.
   */
  async run(rows: StoredRows): Promise<QuantizedPart[]> {
    const { bytes, stored, columns } = rows;
    const size = SIZES[stored];
    const helpers = this.#helpers.filter(({ failed }) => !failed)
      .slice(0, Math.floor(bytes.length / MIN_PART_BYTES));
    if (size === undefined || helpers.length < 2) return [{ firstRow: 0, rows: here(rows, 0) }];
    const rowBytes = columns * size;
    const step = Math.ceil(bytes.length / rowBytes / helpers.length);
    const asked = helpers.map(async (helper, index): Promise<[number, Reply] | undefined> => {
      const firstRow = index * step;
      const part = () => bytes.slice(firstRow * rowBytes, (firstRow + step) * rowBytes);
      const own = { ...rows, bytes: part() };
      if (own.bytes.length === 0) return undefined;
      const reply = await ask(helper, { ...own, firstRow });
      return [firstRow, reply ?? here({ ...rows, bytes: part() }, firstRow)];
    });
    const parts = (await Promise.all(asked)).filter((each) => each !== undefined);
    return parts.map(([firstRow, reply]) => {
      if ("problem" in reply) throw new RangeError(reply.problem);
      return { firstRow, rows: reply };
    });
  }

  [Symbol.dispose](): void {
    for (const { worker } of this.#helpers) worker.terminate();
    this.#helpers = [];
  }
}

/** On this thread. */
function here({ bytes, stored, columns, dtype }: StoredRows, firstRow: number): QuantizedRows {
  const values = toFloat32(bytes, stored);
  if (stored === "F64") requireFloat32(values, bytes);
  const rows = quantizeRows(values, columns, dtype, firstRow);
  if (values.buffer !== bytes.buffer) release(values);
  return rows;
}

function startHelper(): Helper | undefined {
  const worker = startMessageWorker<Task, Reply>(SOURCE, {
    onReply: (reply) => helper?.waiting?.resolve(reply),
    onFailure() {
      if (helper === undefined) return;
      helper.failed = true;
      helper.waiting?.resolve(undefined);
    },
  });
  const helper: Helper | undefined = worker && { worker, waiting: undefined, failed: false };
  return helper;
}

/** Undefined if it failed: then somebody else has to do it. */
async function ask(helper: Helper, task: Task): Promise<Reply | undefined> {
  if (helper.failed) return undefined;
  helper.waiting = Promise.withResolvers();
  helper.worker.post(task, [task.bytes.buffer]);
  return await helper.waiting.promise;
}
