import { type DType, dtypeSizeBytes } from "../dtype.ts";
import {
  PickleGlobal,
  PickleObject,
  PicklePersistent,
  PickleTuple,
  type PickleValue,
} from "./pickle_values.ts";
import { quote } from "../quote.ts";
import { type Layout, spanElements } from "./strided.ts";
import { MAX_RANK, type TensorInfo, tensorSizeBytes } from "../tensor_file.ts";

/** Where a tensor's elements are: PyTorch stores a storage, of which the tensor is a view. */
export interface PyTorchTensor extends TensorInfo, Layout {
  /** The storage's name, as in `data/<key>`. */
  readonly storageKey: string;
  /** Byte of the storage at which the first element begins. */
  readonly beginBytes: number;
}

/** What the zip archive says of a storage. */
export type StorageSize = (key: string) => number | undefined;

/** Makes the error from what was found. */
export type Fail = (found: string) => Error;

const STORAGE_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["BoolStorage", "BOOL"],
  ["ByteStorage", "U8"],
  ["CharStorage", "I8"],
  ["ShortStorage", "I16"],
  ["IntStorage", "I32"],
  ["LongStorage", "I64"],
  ["HalfStorage", "F16"],
  ["BFloat16Storage", "BF16"],
  ["FloatStorage", "F32"],
  ["DoubleStorage", "F64"],
  ["ComplexFloatStorage", "C64"],
]);

const TORCH_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["bool", "BOOL"],
  ["uint8", "U8"],
  ["int8", "I8"],
  ["float8_e5m2", "F8_E5M2"],
  ["float8_e4m3fn", "F8_E4M3"],
  ["float8_e8m0fnu", "F8_E8M0"],
  ["float8_e4m3fnuz", "F8_E4M3FNUZ"],
  ["float8_e5m2fnuz", "F8_E5M2FNUZ"],
  ["int16", "I16"],
  ["uint16", "U16"],
  ["float16", "F16"],
  ["bfloat16", "BF16"],
  ["int32", "I32"],
  ["uint32", "U32"],
  ["float32", "F32"],
  ["complex64", "C64"],
  ["float64", "F64"],
  ["int64", "I64"],
  ["uint64", "U64"],
]);

/**
 * A view may repeat elements (`expand` has strides of 0), and so be larger than its storage. That
 * is how a file of a kilobyte could ask for a terabyte: beyond this size it may not.
 */
const MAX_REPEATED_BYTES = 16 * 1024 * 1024;
const MAX_WRAPPERS = 8;

/**
 * The call that makes the tensor itself, out of those that make a parameter or a subclass of it.
 *
 * @param value Anything a checkpoint holds.
 * @param fail Makes the error for a kind of tensor that is not supported.
 * @returns The call of `_rebuild_tensor*`, or undefined if the value is no tensor.
 */
export function tensorCall(value: PickleValue, fail: Fail): PickleObject | undefined {
  let current = value;
  for (let i = 0; i < MAX_WRAPPERS; i++) {
    if (!(current instanceof PickleObject)) return undefined;
    const path = current.classPath;
    const [first, , third] = itemsOf(current.args) ?? [];
    if (/^torch\._utils\._rebuild_tensor(_v2|_v3)?$/.test(path)) return current;
    if (path === "torch._utils._rebuild_parameter" || path === PARAMETER_WITH_STATE) {
      current = first ?? null;
    } else if (path === "torch._tensor._rebuild_from_type_v2") {
      current = new PickleObject(first ?? null, third ?? null);
    } else if (/^torch\.(_utils|_tensor)\._rebuild_/.test(path)) {
      throw fail(`is made by ${quote(path)}, a kind of tensor that is not supported`);
    } else return undefined;
  }
  throw fail("is wrapped too often");
}

const PARAMETER_WITH_STATE = "torch._utils._rebuild_parameter_with_state";

/**
 * Checks the arguments of `_rebuild_tensor*` against the storage that is really there.
 *
 * @param name The tensor's name.
 * @param call What {@linkcode tensorCall} found.
 * @param storageSize Sizes of the archive's storages.
 * @param fail Makes the error from what was found.
 * @returns Where the tensor is.
 */
export function describeTensor(
  name: string,
  call: PickleObject,
  storageSize: StorageSize,
  fail: Fail,
): PyTorchTensor {
  const args = itemsOf(call.args) ?? [];
  const dtypeArgument = call.classPath.endsWith("_v3") ? args[6] : undefined;
  const storage = describeStorage(args[0], dtypeArgument, fail);
  const offset = args[1];
  const shape = sizesOf(args[2], "shape", fail);
  const strides = sizesOf(args[3], "stride", fail);
  const { dtype, key } = storage;
  const size = storageSize(key);
  if (size === undefined) throw fail(`is in storage ${quote(key)}, which the file lacks`);
  if (storage.sizeBytes !== undefined && storage.sizeBytes !== size) {
    throw fail(
      `is in storage ${quote(key)} of ${storage.sizeBytes} bytes, and the file has ${size} of it`,
    );
  }
  if (!isSize(offset)) throw fail("has a storage offset that is not a whole number of 0 or more");
  if (shape.length !== strides.length) {
    throw fail(`has ${shape.length} sizes and ${strides.length} strides`);
  }
  const sizeBytes = tensorSizeBytes(dtype, shape);
  const elementBytes = dtypeSizeBytes(dtype);
  const span = spanElements({ shape, strides });
  const beginBytes = offset * elementBytes;
  const endBytes = beginBytes + span * elementBytes;
  if (sizeBytes === undefined || !Number.isSafeInteger(endBytes) || endBytes > size) {
    throw fail(
      `with shape [${shape.join(", ")}], strides [${
        strides.join(", ")
      }] and offset ${offset} ends ` +
        `at byte ${endBytes} of its storage, past the end at ${size}`,
    );
  }
  if (sizeBytes > size && sizeBytes > MAX_REPEATED_BYTES) {
    throw fail(
      `repeats the ${size} bytes of its storage up to ${sizeBytes}, and at most ` +
        `${MAX_REPEATED_BYTES} are allowed`,
    );
  }
  return { name, dtype, shape, strides, sizeBytes, storageKey: key, beginBytes };
}

/** A storage is `("storage", type, key, location, element count)`, a reference out of the pickle. */
function describeStorage(
  value: PickleValue | undefined,
  dtypeArgument: PickleValue | undefined,
  fail: Fail,
): { dtype: DType; key: string; sizeBytes: number | undefined } {
  const items = value instanceof PicklePersistent ? itemsOf(value.id) : undefined;
  const [tag, type, key, , count] = items ?? [];
  if (tag !== "storage" || !(type instanceof PickleGlobal) || typeof key !== "string") {
    throw fail("has no storage");
  }
  if (!isSize(count)) throw fail(`is in storage ${quote(key)} without a size`);
  if (type.name === "UntypedStorage") {
    const name = dtypeArgument instanceof PickleGlobal ? dtypeArgument.name : "unknown";
    const dtype = TORCH_DTYPES.get(name);
    if (dtype === undefined) throw fail(`has dtype ${quote(name)}, which is not supported`);
    return { dtype, key, sizeBytes: count };
  }
  const dtype = STORAGE_DTYPES.get(type.name);
  if (dtype === undefined) throw fail(`has storage ${quote(type.path)}, which is not supported`);
  return { dtype, key, sizeBytes: count * dtypeSizeBytes(dtype) };
}

function sizesOf(value: PickleValue | undefined, what: string, fail: Fail): number[] {
  const items = itemsOf(value) ?? [];
  if (itemsOf(value) === undefined || !items.every(isSize)) {
    throw fail(`has a ${what} that is not a tuple of whole numbers of 0 or more`);
  }
  if (items.length > MAX_RANK) throw fail(`has more than ${MAX_RANK} dimensions`);
  return [...items];
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function itemsOf(value: PickleValue | undefined): readonly PickleValue[] | undefined {
  if (Array.isArray(value)) return value;
  return value instanceof PickleTuple ? value.items : undefined;
}
