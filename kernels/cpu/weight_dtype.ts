/** How the elements of a matrix are stored, as op records name it. Compiled by both sides, as op_kind.ts is. */
export enum WeightDType {
  f32,
  f16,
  bf16,
  int8,
  int4,
}
