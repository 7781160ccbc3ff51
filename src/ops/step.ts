/** What the kernels of whole steps have in common: bindings, overrides, and where things lie in what they exchange. */

/** Words of a request before the inputs: see _step_ends. */
export const REQUEST = {
  steps: 0,
  consumeFirst: 1,
  draw: 2,
  patience: 3,
  settings: 4,
  inputs: 16,
} as const;

/** The word of the exchange that says that a workgroup waited in vain: see _grid. */
export const TIMED_OUT = 32;

/** Words of the exchange before all others: see _grid. */
export const GRID_WORDS = 64;

/** Texts before the kernels'. */
export const STEP_PRELUDES = [
  "_chains",
  "_threshold",
  "_exponentials",
  "_grid",
  "_step",
  "_step_product",
  "_step_ends",
  "_step_sample",
  "_step_blocks",
] as const;

/** Storage buffers, as many as every device has. */
export const STEP_BINDINGS = {
  weights_0: "read",
  weights_1: "read",
  weights_2: "read",
  request: "read",
  session: "read_write",
  carried: "read_write",
  exchange: "read_write",
} as const;

/** Overrides of every kernel of whole steps. */
export const STEP_OVERRIDES = [
  ...["GROUPS", "LANES", "N_LAYER", "D_MODEL", "D_INNER", "D_STATE", "D_CONV", "EPS"] as const,
  ...[
    "BIAS",
    "CONV_BIAS",
    "W_DTYPE",
    "CHANNELS",
    "OUT_ROWS",
    "X_VECS",
    "PART",
  ] as const,
  ...["IN_LANE_ROWS", "IN_TURNS", "OUT_LANE_ROWS", "OUT_TURNS"] as const,
  ...["HEAD_LANE_ROWS", "HEAD_TURNS"] as const,
  ...["INPUT_IDS", "INPUT_BIAS", "INPUT_ROWS", "INPUT_COLUMNS", "INPUT_DTYPE"] as const,
  ...["POOL", "POOL_LANES", "LOGITS", "HEAD_ROWS", "HEAD_BIAS"] as const,
  ...["SHARED", "REAL_VOCAB_SIZE", "RING"] as const,
  ...["ARENAS", "LAYERS_0", "LAYERS_1", "FIRST_LAYER", "LAYER_VECS"] as const,
  ...["AT_INPUT", "AT_INPUT_BIAS", "AT_NORM_F", "AT_HEAD", "AT_HEAD_BIAS"] as const,
  ...["AT_NORM", "AT_IN", "AT_IN_BIAS", "AT_CONV", "AT_CONV_BIAS"] as const,
  ...[
    "AT_A_LOG",
    "AT_D",
    "AT_DT_BIAS",
    "AT_OUT",
    "AT_OUT_BIAS",
    "AT_OUT_NORM",
    "OUT_NORM",
  ] as const,
  ...["CONV_AT", "SSM_AT", "CARRIED"] as const,
  ...["TOKENS_AT", "DRAWS_AT", "RING_AT", "SEEN_AT", "LOGITS_AT", "POOL_AT"] as const,
] as const;

/** A value for each of them. */
export type StepOverrides = Readonly<Record<typeof STEP_OVERRIDES[number], number | boolean>>;

/** Words of the board on which workgroups post so many numbers: see _grid. */
export function boardWords(count: number): number {
  return 16 * Math.ceil(count / 4);
}

/** Words of the exchange, of which a kernel's own boards take the first `ownWords` behind {@linkcode GRID_WORDS}. */
export function exchangeWords(
  { GROUPS, D_INNER, D_MODEL }: Readonly<Record<"GROUPS" | "D_INNER" | "D_MODEL", number>>,
  ownWords: number,
): number {
  const shared = boardWords(D_INNER) + boardWords(D_MODEL);
  return GRID_WORDS + ownWords + shared + 8 * GROUPS + GROUPS + 1 + 9 * 256;
}

/** The least sizes of the bindings; of the exchange, `ownWords` are the kernel's own. */
export function stepSizes(
  values: Readonly<Record<typeof STEP_OVERRIDES[number], number>>,
  ownWords: number,
): Record<keyof typeof STEP_BINDINGS, number> {
  const { ARENAS, N_LAYER, LAYERS_0, LAYERS_1, FIRST_LAYER, LAYER_VECS } = values;
  const { CARRIED, LOGITS_AT, LOGITS, POOL, POOL_AT, D_MODEL, INPUT_IDS, INPUT_COLUMNS } = values;
  const layers = (arena: number) =>
    arena >= ARENAS ? 0 : Math.min(LAYERS_1, N_LAYER - LAYERS_0 - (arena - 1) * LAYERS_1);
  return {
    weights_0: 4 * (FIRST_LAYER + LAYERS_0 * LAYER_VECS),
    weights_1: 4 * layers(1) * LAYER_VECS,
    weights_2: 4 * layers(2) * LAYER_VECS,
    request: REQUEST.inputs + (INPUT_IDS ? 0 : INPUT_COLUMNS),
    session: Math.max(LOGITS_AT + LOGITS, POOL ? POOL_AT + 2 * D_MODEL : 0),
    carried: N_LAYER * CARRIED,
    exchange: exchangeWords(values, ownWords),
  };
}
