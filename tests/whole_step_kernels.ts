/** Kernels that work on whole models, so that no check of an op calls them: tests/webgpu/fused_test.ts holds them. */
export const WHOLE_STEP_KERNELS: readonly string[] = ["grid_probe", "step_mamba1", "step_mamba2"];
