/** What an adapter says of itself, in Deno and in browsers. */

/** What is worth knowing of the adapter behind a device. */
export interface AdapterFacts {
  /** What it calls itself, as far as it says. */
  readonly name: string;
  /** Whether it computes on the CPU. */
  readonly isSoftware: boolean;
}

/** Adapters that compute on the CPU, for runtimes that do not say which do. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render|warp/i;

/**
 * Reads what an adapter says of itself.
 *
 * Deno gives the driver's name as the description, and numbers as vendor and device. Browsers leave the description
 * empty, so as not to tell one visitor from another, and give vendor and architecture as words ("nvidia", "ampere").
 *
 * @param info Undefined where the browser does not let a device tell.
 */
export function describeAdapter(info: GPUAdapterInfo | undefined): AdapterFacts {
  const { vendor = "", architecture = "", device = "", description = "" } = info ?? {};
  const words = [vendor, architecture, device].filter((word) => /[a-z]/i.test(word)).join(" ");
  return {
    name: description || words || "unknown adapter",
    isSoftware: info?.isFallbackAdapter === true || SOFTWARE.test(`${words} ${description}`),
  };
}
