/** How single steps run on a GPU. */

/** "auto" tries both on the device; "list" is a dispatch an op; "fused" has whole steps in one dispatch. */
export type StepChoice = "auto" | "list" | "fused";

/** All of them. */
export const STEP_CHOICES: readonly StepChoice[] = ["auto", "list", "fused"];
