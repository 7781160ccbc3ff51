/** How a workgroup's rows of a product are spread over its lanes: no bit of a result depends on it. */

/** Chains of a sum, as _chains.wgsl has them. */
export const CHAINS = 32;

/** Lanes that multiply nothing, and what a tile has at most: rows and chunks, as _step.wgsl has them. */
const [STAGE_LANES, MAX_LANE_ROWS, MAX_CHUNKS] = [128, 4, 12];

/** What a lane has at a time. */
export interface ProductTiling {
  readonly laneRows: number;
  /** Chunks of each of these rows. */
  readonly turns: number;
}

/** A workgroup's share of a product. */
export interface ProductSize {
  readonly rows: number;
  /** Of a row. */
  readonly chunks: number;
  readonly lanes: number;
}

/** Rows that lanes side by side have. */
function productSlots(lanes: number): number {
  return (lanes - STAGE_LANES) / CHAINS;
}

/** Words of partial sums of rows at once, and of those of the scan, which all lanes have. */
export function partWords(lanes: number): number {
  return Math.max(productSlots(lanes) * MAX_LANE_ROWS, lanes / 16) * (CHAINS + 1);
}

/** What the input of a turn, and a tile, cost beside the chunks, in chunks: by a count of instructions. */
const [TURN_COST, TILE_COST] = [0.5, 2];

/** The cheapest tiling. Rows and chunks that only fill up tiles cost what others do. */
export function productTiling({ rows, chunks, lanes }: ProductSize): ProductTiling {
  const all = Math.ceil(chunks / CHAINS);
  const tilings = Array.from({ length: MAX_LANE_ROWS }, (_, index) => {
    const laneRows = index + 1;
    const tiles = Math.ceil(all / Math.floor(MAX_CHUNKS / laneRows));
    const turns = Math.ceil(all / tiles);
    const blocks = Math.ceil(rows / (laneRows * productSlots(lanes)));
    const cost = blocks * tiles * (laneRows * turns + TURN_COST * turns + TILE_COST);
    return { laneRows, turns, cost };
  });
  const least = Math.min(...tilings.map(({ cost }) => cost));
  const { laneRows, turns } = tilings.find(({ cost }) => cost === least) ??
    { laneRows: 1, turns: 1 };
  return { laneRows, turns };
}
