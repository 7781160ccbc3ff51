/**
 * Import it, for its effect, in every test file that runs something on WebGPU: a test then ends when its readbacks have.
 *
 * The data is taken without waiting for the promise of `mapAsync()`, which in Deno takes 10 ms more (see
 * src/gpu/readback.ts). To the sanitizers that is an operation which the test left, or one that ends in the next test.
 */

const pending = new Set<Promise<unknown>>();

const { mapAsync } = GPUBuffer.prototype;

GPUBuffer.prototype.mapAsync = function (this: GPUBuffer, ...given): ReturnType<typeof mapAsync> {
  const mapped = mapAsync.apply(this, given);
  const settled = mapped.catch(() => {}).finally(() => pending.delete(settled));
  pending.add(settled);
  return mapped;
};

Deno.test.afterEach(async () => {
  await Promise.all(pending);
});
