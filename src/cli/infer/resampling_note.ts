/** Sound at another rate than a model takes. */

import { requireRate } from "../../io/audio/sound_input.ts";
import type { Terminal } from "../terminal/terminal.ts";

/**
 * Notes on stderr that sound is resampled, where it is.
 *
 * @param what What it is, such as the quoted name of a file.
 * @throws {RangeError} If the rate is none of sound.
 */
export function noteRate(
  what: string,
  found: number,
  { sample_rate }: { readonly sample_rate: number },
  terminal: Pick<Terminal, "writeError">,
): void {
  requireRate(what, found);
  if (found === sample_rate) return;
  terminal.writeError(
    `Note: ${what} has ${found} samples a second, and this model takes ${sample_rate}: it is resampled\n`,
  );
}
