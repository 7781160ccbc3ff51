export type { Mamba1Config } from "../config/config.ts";
