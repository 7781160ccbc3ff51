/** The wait for WebGPU's kernels, which the first inputs of a model compile. */

import type { Model } from "../../engine/model.ts";
import type { Terminal } from "../terminal/terminal.ts";

/**
 * Shows that kernels are being compiled, until disposed: when the first result is there. It stands there before that
 * begins, for nothing else runs meanwhile; in a log, where it could not be removed, it is left out.
 */
export function compilingLine({ backend }: Pick<Model, "backend">, terminal: Terminal): Disposable {
  let isShown = backend === "webgpu" && terminal.rewrites;
  if (isShown) terminal.writeError("\r\x1b[KCompiling kernels");
  return {
    [Symbol.dispose]: () => {
      if (isShown) terminal.writeError("\r\x1b[K");
      isShown = false;
    },
  };
}
