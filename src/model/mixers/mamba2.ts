export type { Mamba2Config } from "../config/config.ts";
