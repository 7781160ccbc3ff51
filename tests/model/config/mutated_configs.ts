import { assert, assertInstanceOf } from "@std/assert";
import { ConfigError, parseConfig } from "../../../src/model/config/config.ts";
import { Random } from "../../../src/checks/random.ts";

const ALPHABET = '{}[]",:0123456789.-eE+ntfalsru\\\0é';

/** Changes texts of configs at random, and checks that each gives a value, is no JSON, or is refused by a ConfigError. */
export function assertParsesOrRefuses(
  texts: readonly string[],
  { seed, rounds }: { readonly seed: number; readonly rounds: number },
): void {
  const random = new Random(seed);
  const integer = (min: number, max: number) => min + Math.floor(random.next() * (max - min + 1));
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const characters = [...texts[round % texts.length] ?? ""];
    for (let edits = integer(1, 4); edits > 0; edits--) {
      const at = integer(0, characters.length - 1);
      const inserted = ALPHABET[integer(0, ALPHABET.length - 1)] ?? "";
      characters.splice(at, integer(0, 2), inserted);
    }
    let json: unknown;
    try {
      json = JSON.parse(characters.join(""));
    } catch {
      // Refused before it comes to parseConfig(): openCheckpoint() says so.
      refused++;
      continue;
    }
    try {
      parseConfig(json);
    } catch (error) {
      assertInstanceOf(error, ConfigError, characters.join(""));
      refused++;
    }
  }
  assert(refused > rounds / 2 && refused < rounds, `${refused} of ${rounds} were refused`);
}
