/** The sizes that a config.json may state: anything beyond is a damaged or a hostile file. */

/** The largest sizes believed. The published models stay below a hundredth of each. */
export const MAX_D_MODEL = 2 ** 20;
export const MAX_N_LAYER = 4096;
export const MAX_VOCAB_SIZE = 2 ** 24;
export const MAX_D_STATE = 2 ** 16;
export const MAX_D_CONV = 1024;
export const MAX_EXPAND = 1024;
