/** How a step is divided among workgroups and lanes, and what a kernel of whole steps is told of a model. */

import type { Gpu } from "../../gpu/device.ts";
import type { Kernel } from "../../gpu/kernel.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { inputWidth, logitCount, poolsMean } from "../../model/ends.ts";
import type { MambaConfig } from "../../model/mixers/mamba_fields.ts";
import { RING } from "../../model/sampler.ts";
import { roundUp } from "../../model/shapes.ts";
import { type StateLayout, stateLayout } from "../../model/state_layout.ts";
import { type MatrixDType, matrixRowParts } from "../../model/weights/dtype.ts";
import { type Matrix, W_DTYPE } from "../../ops/matrix.ts";
import { normLanes } from "../../ops/rms_norm.ts";
import { exchangeWords, type StepOverrides } from "../../ops/step.ts";
import type { ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { type Placed, type Places, PlacesError } from "./places.ts";
import { CHAINS, partWords, type ProductSize, productTiling } from "./tiling.ts";

/** How many workgroups there are, at most, and lanes of each. */
export interface StepTuning {
  readonly groups: number;
  readonly lanes: number;
}

/** All that a step in one dispatch is made of. */
export interface StepPlan {
  // deno-lint-ignore no-explicit-any -- kernels of any overrides; each plan gives its own kernel's.
  readonly kernel: Kernel<any, never, any>;
  readonly overrides: Readonly<Record<string, number | boolean>>;
  /** Workgroups, of which none may be idle: all are waited for. */
  readonly groups: number;
  readonly lanes: number;
  readonly buffers: readonly GPUBuffer[];
  /** Words that workgroups exchange. */
  readonly exchangeWords: number;
  /** Words of workgroup memory that the mixer alone has. */
  readonly mixerWords: number;
  /** Words of inputs of a step. */
  readonly inputWords: number;
}

/** Vocabularies up to this are drawn from by every workgroup for itself, which saves their meetings. */
const SMALL_VOCABULARY = 1024;

/** Chunks of 16 bytes in a row. */
export function rowChunks(columns: number, dtype: MatrixDType): number {
  return matrixRowParts(columns, dtype).elements / 16;
}

/** The ends of a model, as {@linkcode findPlaces} takes them. */
export function endsOf({ input, norm_f, head }: ModelWeights<WebGpuKinds>) {
  return {
    AT_INPUT: input.weight,
    AT_INPUT_BIAS: input.bias,
    AT_NORM_F: norm_f,
    AT_HEAD: head.weight,
    AT_HEAD_BIAS: head.bias,
  } satisfies Record<string, Placed>;
}

/** Names of those. */
export type End = keyof ReturnType<typeof endsOf>;

/** What a mixer says of itself. */
export interface MixerShape {
  /** Matrices that are read by products, or beside them. */
  readonly matrices: readonly Matrix[];
  /** Whether all gated channels together are normalized. */
  readonly outNorm: boolean;
  /** Words that the mixer exchanges. */
  readonly exchangeWords: number;
  /** Words of workgroup memory beside what all have. */
  readonly memoryWords: number;
  /** Rows of in_proj beside two for each channel. */
  readonly restRows: number;
}

/** The overrides that all kernels of whole steps have. */
export function commonPlan<Own extends string>(
  config: MambaConfig,
  weights: ModelWeights<WebGpuKinds>,
  places: Places<End, Own>,
  mixer: MixerShape,
  { groups: maxGroups, lanes }: StepTuning,
): Omit<StepPlan, "kernel" | "overrides"> & { readonly overrides: StepOverrides } {
  const { d_model, d_inner, d_state, d_conv, n_layer, head } = config;
  const channels = Math.max(4, roundUp(Math.ceil(d_inner / maxGroups), 4));
  const groups = Math.ceil(d_inner / channels);
  const outRows = Math.ceil(d_model / groups);
  const logits = logitCount(config);
  const headRows = head.kind === "classifier" ? logits : Math.ceil(logits / groups);
  const dtype = dtypeOf([...mixer.matrices, weights.head.weight]);
  const columns = Math.max(paddedColumns(d_model, dtype), paddedColumns(d_inner, dtype));
  const inRows = 2 * channels + Math.ceil(mixer.restRows / groups);
  const [modelChunks, innerChunks] = [rowChunks(d_model, dtype), rowChunks(d_inner, dtype)];
  return {
    groups,
    lanes,
    buffers: places.buffers,
    exchangeWords: exchangeWords(
      { GROUPS: groups, D_INNER: d_inner, D_MODEL: d_model },
      mixer.exchangeWords,
    ),
    mixerWords: mixer.memoryWords,
    inputWords: config.input.kind === "linear" ? inputWidth(config) : 0,
    overrides: {
      ...{ GROUPS: groups, LANES: lanes, N_LAYER: n_layer, D_MODEL: d_model, D_INNER: d_inner },
      ...{ D_STATE: d_state, D_CONV: d_conv, EPS: config.norm_epsilon },
      ...{ BIAS: config.use_bias, CONV_BIAS: config.use_conv_bias, W_DTYPE: W_DTYPE[dtype] },
      ...{ CHANNELS: channels, OUT_ROWS: outRows, X_VECS: columns / 4 + 1 },
      PART: partWords(lanes),
      ...tilingOverrides("IN", { rows: inRows, chunks: modelChunks, lanes }),
      ...tilingOverrides("OUT", { rows: outRows, chunks: innerChunks, lanes }),
      ...tilingOverrides("HEAD", { rows: headRows, chunks: modelChunks, lanes }),
      ...inputOverrides(config, weights),
      ...{ POOL: poolsMean(config), POOL_LANES: normLanes(d_model) },
      ...{ LOGITS: logits, HEAD_ROWS: headRows },
      HEAD_BIAS: weights.head.bias !== undefined,
      SHARED: head.kind === "lm" && groups > 1 && logits > SMALL_VOCABULARY,
      ...{ REAL_VOCAB_SIZE: config.real_vocab_size, RING },
      ...{ ARENAS: places.buffers.length, LAYERS_0: places.layers[0], LAYERS_1: places.layers[1] },
      ...{ FIRST_LAYER: places.firstLayer, LAYER_VECS: places.layerVecs },
      ...places.ends,
      ...stateOverrides(stateLayout(config, 1)),
      ...{ AT_NORM: 0, AT_IN: 0, AT_IN_BIAS: 0, AT_CONV: 0, AT_CONV_BIAS: 0 },
      ...{ AT_A_LOG: 0, AT_D: 0, AT_DT_BIAS: 0, AT_OUT: 0, AT_OUT_BIAS: 0, AT_OUT_NORM: 0 },
      OUT_NORM: mixer.outNorm,
      ...places.own,
    },
  };
}

/** How a product is tiled. */
export function tilingOverrides<Name extends string>(name: Name, size: ProductSize) {
  const { laneRows, turns } = productTiling(size);
  return { [`${name}_LANE_ROWS`]: laneRows, [`${name}_TURNS`]: turns } as Record<
    `${Name}_LANE_ROWS` | `${Name}_TURNS`,
    number
  >;
}

function inputOverrides(
  { input, d_model }: ModelConfig,
  { input: { weight, bias } }: ModelWeights<WebGpuKinds>,
) {
  const isLinear = input.kind === "linear";
  return {
    INPUT_IDS: !isLinear,
    INPUT_BIAS: bias !== undefined,
    INPUT_ROWS: weight.rows,
    INPUT_COLUMNS: isLinear ? input.d_input : d_model,
    INPUT_DTYPE: W_DTYPE[weight.dtype],
  };
}

/** Where the parts of a state of one sequence lie: in words of what the session has, and of what the blocks carry. */
function stateOverrides(layout: StateLayout) {
  const [first, second] = layout.halves;
  const at = (name: string | undefined) => (layout.parts.get(name ?? "")?.offset ?? 0) / 4;
  const start = carriedStart(layout) / 4;
  return {
    TOKENS_AT: at("tokens"),
    DRAWS_AT: at("draws"),
    RING_AT: at("ring"),
    SEEN_AT: at("seen"),
    LOGITS_AT: at("logits"),
    POOL_AT: at("pool_state"),
    CONV_AT: at(first?.["conv_state"]) - start,
    SSM_AT: at(first?.["ssm_state"]) - start,
    CARRIED: (second === undefined ? layout.sizeBytes / 4 : at(second["conv_state"])) -
      at(first?.["conv_state"]),
  };
}

/** Where what the blocks carry begins, in bytes. */
export function carriedStart({ parts, halves }: StateLayout): number {
  const names = new Set(Object.values(halves[0] ?? {}));
  return Math.min(
    ...parts.values().filter(({ name }) => names.has(name)).map(({ offset }) => offset),
  );
}

function paddedColumns(columns: number, dtype: MatrixDType): number {
  return rowChunks(columns, dtype) * (16 / elementBytes(dtype));
}

function elementBytes(dtype: MatrixDType): number {
  return dtype === "f32" ? 4 : dtype === "int8" ? 1 : dtype === "int4" ? 0.5 : 2;
}

/**
 * The type that all of them have.
 *
 * @throws {PlacesError} If they have several.
 */
export function dtypeOf(matrices: readonly Matrix[]): MatrixDType {
  const [dtype, ...others] = [...new Set(matrices.map(({ dtype }) => dtype))];
  if (dtype === undefined || others.length > 0) {
    throw new PlacesError(`matrices are kept as ${[dtype, ...others].join(" and ")}, expected one`);
  }
  return dtype;
}

/** Whether a workgroup of the kernel fits on the device. */
export function requireFit({ device }: Gpu, { overrides, lanes, mixerWords }: StepPlan): void {
  const { limits } = device;
  const words = (name: string) => Number(overrides[name] ?? 0);
  const sizeBytes = 16 * words("X_VECS") + 4 * (2 * words("PART") + words("X_VECS") + CHAINS) +
    4 * words("OUT_ROWS") + 20 * words("CHANNELS") + 16 * lanes + 2060 + 4 * mixerWords;
  const { maxComputeWorkgroupStorageSize: room, maxComputeInvocationsPerWorkgroup: most } = limits;
  if (sizeBytes > room || lanes > most) {
    throw new PlacesError(
      `a workgroup takes ${sizeBytes} bytes and ${lanes} lanes, and this device allows ${room} and ${most}`,
    );
  }
}
