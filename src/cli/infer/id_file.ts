/** Files of token ids. */

import { readDataFile } from "../../io/datasets/data_file.ts";
import { decodeText } from "../../io/datasets/text.ts";

/** Reads a file of token ids, as `parseIds` does its text. */
export async function readIds(path: string): Promise<{ sequences: number[][]; nested: boolean }> {
  return parseIds(decodeText(await readDataFile(path, "token ids"), path), path);
}

/**
 * Reads an array of token ids, or an array of such arrays: independent sequences.
 *
 * @param json The file's text.
 * @param name What error messages call it.
 * @returns The sequences, and whether the file held several (an array of arrays).
 * @throws {SyntaxError} If the text is not JSON.
 * @throws {TypeError} If it is JSON of something else, or has an empty sequence.
 */
export function parseIds(json: string, name: string): { sequences: number[][]; nested: boolean } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(`Cannot read token ids from "${name}": ${detail}`, { cause });
  }
  if (!Array.isArray(value)) {
    throw new TypeError(
      `Cannot read token ids from "${name}": expected a JSON array of ids, or an array of arrays`,
    );
  }
  if (value.length === 0) throw emptySequence(name);
  const nested = Array.isArray(value[0]);
  const sequences = nested ? value : [value];
  return {
    sequences: sequences.map((sequence, i) =>
      checkSequence(sequence, name, nested ? `[${i}]` : "")
    ),
    nested,
  };
}

function checkSequence(sequence: unknown, name: string, at: string): number[] {
  if (!Array.isArray(sequence)) {
    throw new TypeError(
      `Cannot read token ids from "${name}": entry ${at} is ${
        JSON.stringify(sequence)
      }, expected ` +
        `an array, as the first entry is one`,
    );
  }
  if (sequence.length === 0) throw emptySequence(name);
  return sequence.map((id: unknown, i) => {
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
      throw new TypeError(
        `Cannot read token ids from "${name}": entry ${at}[${i}] is ${JSON.stringify(id)}, ` +
          `expected a whole number of 0 or more`,
      );
    }
    return id;
  });
}

function emptySequence(name: string): TypeError {
  return new TypeError(`Cannot read token ids from "${name}": a sequence is empty`);
}

/**
 * Refuses ids that the model has no row for.
 *
 * @param vocab_size Rows of the model's embedding.
 * @throws {RangeError} If an id is out of range.
 */
export function checkIdRange(
  ids: readonly number[] | Uint32Array,
  vocab_size: number,
  name: string,
): void {
  const bad = ids.findIndex((id) => id >= vocab_size);
  if (bad >= 0) {
    throw new RangeError(
      `Cannot use the token ids from "${name}": entry [${bad}] is ${ids[bad]}, and this model's ` +
        `ids are 0 to ${vocab_size - 1}`,
    );
  }
}
