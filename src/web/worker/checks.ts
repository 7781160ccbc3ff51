/** Every kernel against the oracle, on the executor that the page asks for. */

import { runChecks } from "../../checks/run_checks.ts";
import type { CheckResult } from "../../checks/run_checks.ts";
import { eventLoopTurn } from "../../io/event_loop_turn.ts";
import type { Handlers } from "../calls.ts";

/** A result, in a form that messages can carry. */
export type CheckRow = Omit<CheckResult, "error">;

/** Runs the checks, and tells of each. */
export const check: Handlers["check"] = async (
  { backend, isQuick, hasDefaultLimits },
  { signal, emit },
) => {
  const cases = isQuick ? 1 : undefined;
  const device = backend === "webgpu" && hasDefaultLimits ? await openDefaultDevice() : undefined;
  try {
    for await (const { error: _error, ...row } of runChecks({ backend, cases, device, signal })) {
      emit(row);
      await eventLoopTurn();
    }
  } finally {
    device?.destroy();
  }
};

/** A device with the limits that every device has: what runs on it runs anywhere. */
async function openDefaultDevice(): Promise<GPUDevice | undefined> {
  const adapter = await globalThis.navigator.gpu?.requestAdapter();
  return await adapter?.requestDevice();
}
