/** Sequences in pieces: as many as take a turn are handed to the device one after the other, and then waited for. */

import type { Gpu } from "../gpu/device.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import type { ForwardOptions } from "../model/executor.ts";
import { Pace } from "../model/pieces.ts";
import { MATVEC_MAX_ROWS } from "../ops/linear.ts";
import type { WebGpuState } from "./executor_state.ts";
import type { PieceOutput, Programs } from "./programs.ts";
import { runProgram } from "./run_program.ts";

/**
 * A matmul's smaller tile, and a chunk of Mamba-2: parts of either cost as much as wholes. A software adapter, on which
 * these take seconds, is no slower with them than with more.
 */
const PIECE_STEPS = 64;

/** Rows of a turn that a GPU begins with: fewer leave a large one idle, and a first prompt is mostly no longer. */
const FIRST_ROWS = 512;

/** What goes through the model in pieces. */
export interface Sequence extends Pick<ForwardOptions, "onProgress" | "pauses"> {
  readonly batch: number;
  readonly seqlen: number;
  readonly inputs: Uint32Array | Float32Array;
  /** The id after each, where they are scored. */
  readonly following?: Uint32Array;
}

/** Part of a sequence: steps [start, start + steps) of each of its batch. */
export interface Piece {
  readonly start: number;
  readonly steps: number;
}

/** What is wanted of the pieces. */
export interface PieceResults {
  readonly output: PieceOutput;
  /** Whether the logits of the last step are. */
  readonly lastLogits?: boolean;
  /** Is given what each piece gave. */
  readonly collect?: (read: Float32Array, piece: Piece) => void;
}

/** Runs sequences through a model. */
export class Pieces {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #programs: Programs;
  readonly #pace: Pace;

  constructor(gpu: Gpu, config: ModelConfig, programs: Programs) {
    this.#gpu = gpu;
    this.#config = config;
    this.#programs = programs;
    this.#pace = new Pace({
      unit: PIECE_STEPS,
      fewRows: MATVEC_MAX_ROWS,
      firstRows: gpu.isSoftware ? PIECE_STEPS : FIRST_ROWS,
      favorsThroughput: !gpu.isSoftware,
    });
  }

  /**
   * Runs a sequence.
   *
   * @returns The logits of the last step, where they are wanted.
   */
  async run(
    state: WebGpuState,
    sequence: Sequence,
    { output, lastLogits = false, collect }: PieceResults,
  ): Promise<Float32Array | undefined> {
    const { batch, seqlen, following, onProgress, pauses } = sequence;
    const { activations, maxLogitRows } = this.#programs;
    const logitRows = output === "none" ? Infinity : maxLogitRows;
    const rowsAtOnce = Math.min(activations.maxRows(batch), logitRows);
    const most = Math.max(1, Math.floor(rowsAtOnce / batch));
    const place = this.#programs.placeOf(state);
    let read: Float32Array | undefined;
    for (let start = 0; start < seqlen;) {
      const began = performance.now();
      let rows = 0;
      while (start < seqlen && (rows === 0 || rows < this.#pace.rows)) {
        const steps = this.#pace.steps(batch, seqlen - start, most);
        const program = this.#programs.piece(place, steps, output);
        this.#write(sequence, { start, steps });
        if (following !== undefined) {
          this.#programs.targets.write(following.subarray(start, start + steps));
        }
        rows += batch * steps;
        const { tensor, width } = this.#resultOf(place, output);
        const isLast = start + steps === seqlen;
        // A turn whose results nobody wants is waited for by reading one float, where it is worth waiting for.
        const waits = onProgress !== undefined || rows > PIECE_STEPS;
        const isTurnOver = isLast || rows >= this.#pace.rows;
        const floats = output !== "none"
          ? batch * steps * width
          : isLast && lastLogits
          ? batch * width
          : Number(isTurnOver && waits);
        read = await runProgram(this.#gpu, state, program, { from: tensor, floats }, place);
        if (read !== undefined) collect?.(read, { start, steps });
        start += steps;
      }
      if (read !== undefined) this.#pace.took(rows, performance.now() - began);
      onProgress?.(start);
      if (start < seqlen) await pauses?.between();
    }
    return lastLogits ? read : undefined;
  }

  /** What a piece's results are read from, and how many there are of a row. */
  #resultOf(state: WebGpuState, output: PieceOutput): { tensor: Tensor; width: number } {
    if (output === "score") return { tensor: this.#programs.scores, width: 3 };
    const tensor = output === "all" ? this.#programs.logits : state.parts.logits;
    return { tensor, width: logitCount(this.#config) };
  }

  /** Brings steps [start, start + steps) of every sequence next to each other. */
  #write({ batch, seqlen, inputs }: Sequence, { start, steps }: Piece): void {
    const target = this.#programs.activations.of(batch).inputs;
    const width = inputWidth(this.#config);
    for (let b = 0; b < batch; b++) {
      const from = (b * seqlen + start) * width;
      target.write(inputs.subarray(from, from + steps * width), b * steps * width * 4);
    }
  }
}
