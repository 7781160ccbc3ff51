/** Which models take text. */

import type { Model } from "../../engine/model.ts";
import type { InputConfig } from "../../model/config/config.ts";

/**
 * The input of a model of tokens.
 *
 * @param action What was to be done, such as "generate".
 * @throws {TypeError} If the model is another.
 */
export function requireTokens(
  { config: { head, input } }: Pick<Model, "config">,
  action: string,
): Extract<InputConfig, { kind: "embedding" }> {
  if (head.kind !== "lm" || input.kind !== "embedding") {
    throw new TypeError(
      `Cannot ${action} with this model: its head is "${head.kind}", expected "lm". ` +
        `Use the command classify`,
    );
  }
  return input;
}
