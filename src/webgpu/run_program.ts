/** Running a program on a state, and reading what it leaves. */

import type { Gpu } from "../gpu/device.ts";
import { type Program, submitEarly } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { stateCopy, type WebGpuState } from "./executor_state.ts";

/** What is read after a program: `floats` floats from the start of a tensor. */
export interface ProgramResult {
  readonly from: Tensor;
  readonly floats: number;
}

/**
 * Runs a program and reads its result; nothing is read, and nothing waited for, where that has no floats.
 *
 * @param place The state that the program is over, which this one is copied to before and from after: see
 * `Programs.placeOf`. All of it is submitted at once, so that no other state is there meanwhile.
 */
export async function runProgram(
  gpu: Gpu,
  state: WebGpuState,
  program: Program,
  { from, floats }: ProgramResult,
  place: WebGpuState = state,
): Promise<Float32Array<ArrayBuffer> | undefined> {
  const isGuest = place !== state;
  const before = isGuest ? [stateCopy(state, place)] : [];
  const after = isGuest ? [stateCopy(place, state)] : [];
  if (floats === 0) {
    submitEarly(gpu, program, { before, after });
    gpu.check();
    return undefined;
  }
  const staging = await state.staging(floats * 4);
  const copy = { from, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: floats * 4 };
  submitEarly(gpu, program, { before, after: [...after, copy] });
  const bytes = await staging.read(floats * 4);
  return new Float32Array(bytes.buffer);
}
