/** What an adapter says of itself, in Deno and in browsers. */

/** What is worth knowing of the adapter behind a device. */
export interface AdapterFacts {
  /** What it calls itself, as far as it says. */
  readonly name: string;
  /** Whether it computes on the CPU. */
  readonly isSoftware: boolean;
  /** Whether it is reached through OpenGL, which WebGPU falls back to where there is no Vulkan; its name says so. */
  readonly isOpenGl: boolean;
}

/** What of an adapter is asked. */
export type AskedAdapter =
  & Pick<GPUAdapter, "info">
  & Partial<Pick<GPUAdapter, "limits" | "features">>;

/** Adapters that compute on the CPU, for runtimes that do not say which do. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render|warp/i;

/**
 * Reads what an adapter says of itself.
 *
 * Deno gives the driver's name as the description, and numbers as vendor and device. Browsers leave the description
 * empty, so as not to tell one visitor from another, and give vendor and architecture as words ("nvidia", "ampere").
 */
export function describeAdapter(adapter: AskedAdapter): AdapterFacts {
  // A browser may not let a device tell.
  const info: GPUAdapterInfo | undefined = adapter.info;
  const isOpenGl = isReachedByOpenGl(adapter);
  const { vendor = "", architecture = "", device = "", description = "" } = info ?? {};
  const words = [vendor, architecture, device].filter((word) => /[a-z]/i.test(word)).join(" ");
  return {
    name: (description || words || "unknown adapter") + (isOpenGl ? " over OpenGL" : ""),
    isSoftware: info?.isFallbackAdapter === true || SOFTWARE.test(`${words} ${description}`),
    isOpenGl,
  };
}

/** The most bindings that can be said: wgpu's OpenGL has no such limit, and its Vulkan has. */
const UNLIMITED = 2 ** 32 - 1;

/** Features that OpenGL never has; whatever else knows no limit of bindings (Metal, Direct3D 12) has one of them. */
const NOT_OF_OPENGL: readonly GPUFeatureName[] = ["shader-f16", "bgra8unorm-storage"];

/** No field of an adapter says it: its limits and features do. */
function isReachedByOpenGl({ limits, features }: AskedAdapter): boolean {
  return limits?.maxBindingsPerBindGroup === UNLIMITED &&
    !NOT_OF_OPENGL.some((feature) => features?.has(feature));
}
