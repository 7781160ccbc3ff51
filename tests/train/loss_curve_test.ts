import { assert, assertEquals } from "@std/assert";
import { lossCurve } from "../../src/train/run/loss_curve.ts";

/** The points of each curve's path, in pixels. */
function paths(svg: string): number[][][] {
  return [...svg.matchAll(/<path d="M([^"]*)" fill="none"/g)].map(([, path = ""]) =>
    path.split("L").map((point) => point.split(" ").map(Number))
  );
}

Deno.test("lossCurve() draws each curve within the frame, falling where the loss falls", () => {
  const training = Array.from({ length: 100 }, (_, i) => [i, 4 / (1 + i)] as const);
  const svg = lossCurve("A run", [
    { name: "training", points: training },
    { name: "validation", points: [[50, 1], [99, 0.5]] },
  ]);
  const [first = [], second = []] = paths(svg);
  assertEquals([first.length, second.length], [100, 2]);
  for (const [x = NaN, y = NaN] of [...first, ...second]) {
    assert(x >= 60 && x <= 780 && y >= 40 && y <= 405, `${x}, ${y}`);
  }
  assertEquals([first[0], first[99]], [[60, 40], [780, 405]]);
  for (let i = 1; i < 100; i++) assert((first[i]?.[1] ?? NaN) >= (first[i - 1]?.[1] ?? NaN));
  for (const text of [">A run<", ">training<", ">validation<", ">step<", ">20<", ">80<", ">1<"]) {
    assert(svg.includes(text), text);
  }
  assertEquals(
    svg,
    lossCurve("A run", [
      { name: "training", points: training.toReversed() },
      { name: "validation", points: [[99, 0.5], [50, 1]] },
    ]),
  );
});

Deno.test("lossCurve() escapes names, and leaves out what is not finite", () => {
  const svg = lossCurve("a < b & c", [{ name: "x>y", points: [[1, NaN], [2, 1], [3, Infinity]] }]);
  assert(svg.includes("a &lt; b &amp; c") && svg.includes("x&gt;y"));
  assertEquals(paths(svg).map((path) => path.length), [2]);
  assertEquals(svg.includes("NaN") || svg.includes("Infinity"), false);
});

Deno.test("lossCurve() draws runs of no step, of one, and of a million", () => {
  const none = lossCurve("none", [{ name: "x", points: [] }]);
  assertEquals(paths(none), []);
  assertEquals(none.includes("NaN"), false);
  const long = lossCurve("long", [{
    name: "x",
    points: Array.from({ length: 1_000_000 }, (_, i) => [i, Math.sin(i / 1e5)] as const),
  }]);
  assert(long.length < 20_000 && (paths(long)[0]?.length ?? 0) === 400);
});
