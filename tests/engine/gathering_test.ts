/** Who meets in a gathering, and who does not have to wait for it. */

import { assertEquals, assertRejects } from "@std/assert";
import { Gathering } from "../../src/engine/gathering.ts";
import { Lifetime } from "../../src/engine/lifetime.ts";
import { Turns } from "../../src/engine/turns.ts";

/** A gathering whose work takes a moment, and a list of what it ran together. */
function gathering(most = 8) {
  const lifetime = new Lifetime("the model", () => {});
  const ran: string[] = [];
  const made = new Gathering<string, string>(
    { turns: new Turns(), lifetime, most },
    async (requests) => {
      ran.push(requests.join(""));
      await new Promise((resolve) => setTimeout(resolve, 1));
      return requests.map((request) => request.toUpperCase());
    },
  );
  const ask = (request: string, signal?: AbortSignal) =>
    lifetime.call("ask", signal, (call) => made.ask(call, request));
  return { ask, ran, lifetime };
}

/** Asks so many times, one after the other. */
async function askAgain(ask: (request: string) => Promise<string>, request: string, times: number) {
  for (let time = 0; time < times; time++) assertEquals(await ask(request), request.toUpperCase());
}

Deno.test("Gathering serves those together that ask again and again, and one alone at once", async () => {
  const { ask, ran } = gathering();
  await askAgain(ask, "a", 3);
  assertEquals(ran.splice(0), ["a", "a", "a"]);
  await Promise.all([askAgain(ask, "a", 4), askAgain(ask, "b", 6), askAgain(ask, "c", 4)]);
  // The first one begins alone, and meets the others when it asks again.
  const sizes = ran.splice(0).map(({ length }) => length);
  assertEquals(sizes.reduce((sum, size) => sum + size), 14);
  assertEquals(sizes.filter((size) => size === 3).length >= 3, true, sizes.join());
  await askAgain(ask, "d", 2);
  assertEquals(ran, ["d", "d"]);
});

Deno.test("Gathering takes no more at once than there is room for", async () => {
  const { ask, ran } = gathering(2);
  await Promise.all(["a", "b", "c", "d", "e"].map((request) => ask(request)));
  assertEquals(ran.every(({ length }) => length <= 2), true, ran.join());
  assertEquals([...ran.join("")].toSorted().join(""), "abcde");
});

Deno.test("Gathering lets go of a call that ends while it waits, and of all when the model is disposed", async () => {
  const { ask, ran, lifetime } = gathering();
  const controller = new AbortController();
  const first = ask("a");
  const second = ask("b", controller.signal);
  controller.abort(new RangeError("enough"));
  await assertRejects(() => second, RangeError, "enough");
  assertEquals(await first, "A");
  assertEquals(ran.join("").includes("b"), false);
  const [third, fourth] = [ask("c"), ask("d")];
  lifetime[Symbol.dispose]();
  await assertRejects(() => third, TypeError, "Cannot ask: the model is disposed");
  await assertRejects(() => fourth, TypeError, "Cannot ask: the model is disposed");
});
