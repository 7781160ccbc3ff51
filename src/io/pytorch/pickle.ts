import { makePlain } from "./pickle_calls.ts";
import { PickleError, PickleReader } from "./pickle_reader.ts";
import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PicklePersistent,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./pickle_values.ts";
import { quote } from "../quote.ts";

export { PickleError } from "./pickle_reader.ts";
export * from "./pickle_values.ts";

/** A checkpoint's pickle names its tensors: kilobytes. A pickled data set is some megabytes. */
const MAX_PICKLE_BYTES = 64 * 1024 * 1024;
/** A tensor takes about 30 opcodes. An opcode costs at most about 100 bytes of memory, all told. */
const MAX_OPCODES = 1_000_000;
/** Python's own pickler gives up before this depth. */
const MAX_OPEN_MARKS = 1000;
/** What strings, and bytes spelled as strings, may add up to. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/**
 * Reads a pickle of protocol 0 to 5 into plain data. It runs nothing.
 *
 * Classes and functions stay names, and calls stay records of what would have been called
 * ({@linkcode PickleObject}). Only these are carried out, being plain data: OrderedDict, dict, list,
 * tuple, set, frozenset, bytes and bytearray. Bytes in the result are views of `bytes`.
 *
 * @param bytes The pickle; what follows its end is ignored.
 * @param name What messages call it.
 * @returns The value, which may contain itself.
 * @throws {PickleError} If it is malformed, or beyond the limits on size, opcodes and depth.
 */
export function unpickle(bytes: Uint8Array, name: string): PickleValue {
  if (bytes.length > MAX_PICKLE_BYTES) {
    throw new PickleError(
      `Cannot read ${quote(name)}: it has ${bytes.length} bytes, and at most ${MAX_PICKLE_BYTES} ` +
        `are allowed`,
    );
  }
  return new PickleMachine(bytes, name).run();
}

class PickleMachine {
  readonly #reader: PickleReader;
  readonly #stack: PickleValue[] = [];
  /** Heights of the stack at each open mark. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  /** Opcodes so far, and elements copied. */
  #count = 0;
  #textBytes = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#reader = new PickleReader(bytes, name);
  }

  run(): PickleValue {
    for (; this.#count < MAX_OPCODES; this.#count++) {
      const opcode = this.#reader.uint8();
      if (opcode === 0x2e) {
        const value = this.#pop();
        if (this.#stack.length > 0 || this.#marks.length > 0) {
          throw this.#reader.fail("the pickle ends with values left over");
        }
        return value;
      }
      this.#step(opcode);
    }
    throw this.#reader.fail(`there are more than ${MAX_OPCODES} opcodes`);
  }

  #step(opcode: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case 0x80: { // PROTO
        const protocol = reader.uint8();
        if (protocol > 5) throw reader.fail(`the protocol is ${protocol}, and 0 to 5 are known`);
        return;
      }
      case 0x95: { // FRAME
        const length = reader.uint64();
        if (length > MAX_PICKLE_BYTES) throw reader.fail(`a frame has ${length} bytes`);
        return;
      }
      case 0x28: // MARK
        if (this.#marks.length === MAX_OPEN_MARKS) {
          throw reader.fail(`values are nested deeper than ${MAX_OPEN_MARKS}`);
        }
        this.#marks.push(this.#stack.length);
        return;
      case 0x30: // POP
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        return;
      case 0x31: // POP_MARK
        this.#popMark();
        return;
      case 0x32: // DUP
        return this.#push(this.#top());

      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x49: { // INT, which also spells booleans
        const value = reader.line();
        if (value === "00" || value === "01") return this.#push(value === "01");
        return this.#push(this.#integerOf(value));
      }
      case 0x4c: // LONG
        return this.#push(reader.lineInteger());
      case 0x4a: // BININT
        return this.#push(reader.int32());
      case 0x4b: // BININT1
        return this.#push(reader.uint8());
      case 0x4d: // BININT2
        return this.#push(reader.uint16());
      case 0x8a: // LONG1
        return this.#push(reader.integer(reader.uint8()));
      case 0x8b: // LONG4
        return this.#push(reader.integer(reader.uint32()));
      case 0x46: // FLOAT
        return this.#push(reader.lineFloat());
      case 0x47: // BINFLOAT
        return this.#push(reader.float64());

      case 0x53: // STRING
        return this.#pushText(reader.lineString());
      case 0x56: // UNICODE
        return this.#pushText(reader.lineUnicode());
      case 0x54: // BINSTRING
        return this.#pushText(reader.byteText(reader.uint32()));
      case 0x55: // SHORT_BINSTRING
        return this.#pushText(reader.byteText(reader.uint8()));
      case 0x58: // BINUNICODE
        return this.#pushText(reader.text(reader.uint32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#pushText(reader.text(reader.uint8()));
      case 0x8d: // BINUNICODE8
        return this.#pushText(reader.text(reader.uint64()));
      case 0x42: // BINBYTES
        return this.#push(reader.bytes(reader.uint32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(reader.bytes(reader.uint8()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(reader.bytes(reader.uint64()));

      case 0x5d: // EMPTY_LIST
        return this.#push([]);
      case 0x6c: // LIST
        return this.#push(this.#popMark());
      case 0x61: { // APPEND
        const item = this.#pop();
        return this.#extend([item]);
      }
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        return this.#extend(this.#popMark());
      case 0x29: // EMPTY_TUPLE
        return this.#push(new PickleTuple([]));
      case 0x74: // TUPLE
        return this.#push(new PickleTuple(this.#popMark()));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#push(new PickleTuple(this.#popMany(opcode - 0x84)));
      case 0x8f: // EMPTY_SET
        return this.#push(new PickleSet([]));
      case 0x91: // FROZENSET
        return this.#push(new PickleSet(this.#popMark()));
      case 0x7d: // EMPTY_DICT
        return this.#push(new PickleDict());
      case 0x64: { // DICT
        const items = this.#popMark();
        this.#push(new PickleDict());
        return this.#setItems(items);
      }
      case 0x73: // SETITEM
        return this.#setItems(this.#popMany(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popMark());

      case 0x70: // PUT
        return this.#put(Number(reader.lineInteger()));
      case 0x71: // BINPUT
        return this.#put(reader.uint8());
      case 0x72: // LONG_BINPUT
        return this.#put(reader.uint32());
      case 0x94: // MEMOIZE
        return this.#put(this.#memo.size);
      case 0x67: // GET
        return this.#get(Number(reader.lineInteger()));
      case 0x68: // BINGET
        return this.#get(reader.uint8());
      case 0x6a: // LONG_BINGET
        return this.#get(reader.uint32());

      case 0x63: { // GLOBAL
        const module = reader.line();
        return this.#push(this.#global(module, reader.line()));
      }
      case 0x93: { // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") {
          throw reader.fail("a global is named by something that is not text");
        }
        return this.#push(this.#global(module, name));
      }
      case 0x52: // REDUCE
      case 0x81: { // NEWOBJ
        const [callee, args] = this.#popMany(2);
        return this.#push(this.#call(callee, args));
      }
      case 0x92: { // NEWOBJ_EX
        const [callee, args] = this.#popMany(3);
        return this.#push(this.#call(callee, args));
      }
      case 0x69: { // INST
        const module = reader.line();
        const callee = this.#global(module, reader.line());
        return this.#push(this.#call(callee, new PickleTuple(this.#popMark())));
      }
      case 0x6f: { // OBJ
        const [callee, ...args] = this.#popMark();
        return this.#push(this.#call(callee, new PickleTuple(args)));
      }
      case 0x62: { // BUILD
        const state = this.#pop();
        const target = this.#top();
        if (!(target instanceof PickleObject || target instanceof PickleDict)) {
          throw reader.fail("attributes are set on something that has none");
        }
        target.state = state;
        return;
      }
      case 0x50: // PERSID
        return this.#push(new PicklePersistent(reader.line()));
      case 0x51: // BINPERSID
        return this.#push(new PicklePersistent(this.#pop()));
      default:
        // Among them EXT1 to EXT4 (a registry of the writer's process) and the buffers that
        // protocol 5 keeps outside the pickle.
        throw reader.fail(`the opcode 0x${opcode.toString(16).padStart(2, "0")} is not supported`);
    }
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pushText(text: string): void {
    this.#spendText(text.length);
    this.#stack.push(text);
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    // What lies below an open mark belongs to the one who opened it.
    if (value === undefined || this.#stack.length <= (this.#marks.at(-1) ?? 0)) {
      throw this.#reader.fail("a value is needed and none is on the stack");
    }
    return value;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) < count) {
      throw this.#reader.fail(`${count} values are needed and fewer are on the stack`);
    }
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMark(): PickleValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#reader.fail("a mark is needed and none is on the stack");
    return this.#stack.splice(height);
  }

  #put(index: number): void {
    if (!Number.isSafeInteger(index) || index < 0) {
      throw this.#reader.fail(`${index} is not a place in the memo`);
    }
    this.#memo.set(index, this.#top());
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#reader.fail(`nothing is in the memo at ${index}`);
    this.#stack.push(value);
  }

  #extend(items: readonly PickleValue[]): void {
    const target = this.#top();
    let list: PickleValue[];
    if (Array.isArray(target)) list = target;
    else if (target instanceof PickleSet || target instanceof PickleObject) list = target.items;
    else throw this.#reader.fail("items are added to something that holds none");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const target = this.#top();
    let entries: { set(key: PickleValue, value: PickleValue): unknown };
    if (target instanceof PickleDict) entries = target;
    else if (target instanceof PickleObject) entries = target.entries ??= new Map();
    else throw this.#reader.fail("members are set on something that has none");
    if (items.length % 2 !== 0) throw this.#reader.fail("a key has no value");
    for (let i = 0; i < items.length; i += 2) {
      entries.set(items[i] ?? null, items[i + 1] ?? null);
    }
  }

  #global(module: string, name: string): PickleGlobal {
    this.#spendText(module.length + name.length);
    return new PickleGlobal(module, name);
  }

  #integerOf(line: string): number | bigint {
    const bytes = new TextEncoder().encode(`${line}\n`);
    try {
      return new PickleReader(bytes, "").lineInteger();
    } catch {
      throw this.#reader.fail(`${quote(line)} is not an integer`);
    }
  }

  #call(callee: PickleValue | undefined, args: PickleValue | undefined): PickleValue {
    if (callee === undefined || !(args instanceof PickleTuple)) {
      throw this.#reader.fail("a call has no callee, or arguments that are not a tuple");
    }
    return makePlain(callee, args, {
      fail: (found) => this.#reader.fail(found),
      // Without this, each opcode could copy a list of a million.
      spend: (count) => this.#count += count,
      spendText: (length) => this.#spendText(length),
    });
  }

  #spendText(length: number): void {
    this.#textBytes += length;
    if (this.#textBytes > MAX_TEXT_BYTES) throw this.#reader.fail("there is too much text");
  }
}
