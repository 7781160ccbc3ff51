/** How products of whole steps are spread over lanes. */

import { assert, assertEquals } from "@std/assert";
import { productTiling } from "../../src/webgpu/fused/tiling.ts";

/** Rows of a workgroup and chunks of a row: in_proj, out_proj and head of mamba-130m, in_proj of mamba-2.8b, and odd. */
const SIZES = [[24, 96], [6, 192], [393, 96], [80, 320], [80, 160], [1, 1], [5, 33]] as const;

Deno.test("productTiling() stays within a tile", () => {
  for (const lanes of [256, 384, 512]) {
    for (const [rows, chunks] of SIZES) {
      const { laneRows, turns } = productTiling({ rows, chunks, lanes });
      assert(laneRows >= 1 && laneRows <= 4 && turns >= 1 && laneRows * turns <= 12);
    }
  }
});

Deno.test("productTiling() fills tiles where it can", () => {
  assertEquals(productTiling({ rows: 24, chunks: 96, lanes: 384 }), { laneRows: 3, turns: 3 });
  assertEquals(productTiling({ rows: 6, chunks: 192, lanes: 384 }), { laneRows: 1, turns: 6 });
  assertEquals(productTiling({ rows: 80, chunks: 320, lanes: 384 }), { laneRows: 2, turns: 5 });
});
