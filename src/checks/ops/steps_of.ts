/** Steps from `first` to `end` of values (batch, seqlen, width). */
export function stepsOf(
  values: Float32Array | Float64Array,
  [batch, seqlen]: readonly [number, number],
  [first, end]: readonly [number, number],
): Float32Array<ArrayBuffer> {
  const width = values.length / batch / seqlen;
  const steps = new Float32Array(batch * (end - first) * width);
  for (let b = 0; b < batch; b++) {
    const start = (b * seqlen + first) * width;
    steps.set(
      values.subarray(start, start + (end - first) * width),
      b * (end - first) * width,
    );
  }
  return steps;
}
