import { assertEquals, assertThrows } from "@std/assert";
import { ownParts } from "../../src/runtime/own_parts.ts";

/** A part that says when it goes. */
function part(name: string, freed: string[]): Disposable & { readonly name: string } {
  return { name, [Symbol.dispose]: () => void freed.push(name) };
}

Deno.test("ownParts() frees the parts with the whole, the last first, and once", () => {
  const freed: string[] = [];
  const whole = ownParts((own) => ({ a: own(part("a", freed)), b: own(part("b", freed)) }));
  assertEquals([whole.a.name, whole.b.name, ...freed], ["a", "b"]);
  whole[Symbol.dispose]();
  whole[Symbol.dispose]();
  assertEquals(freed, ["b", "a"]);
});

Deno.test("ownParts() frees the parts where the whole cannot be made", () => {
  const freed: string[] = [];
  assertThrows(
    () =>
      ownParts((own) => {
        own(part("a", freed));
        throw new RangeError("no room");
      }),
    RangeError,
    "no room",
  );
  assertEquals(freed, ["a"]);
});
