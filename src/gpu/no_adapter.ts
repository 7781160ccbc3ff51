/** Why there is no GPU adapter, and what helps where this runs. */

/** Where somebody looked for one. */
export interface Surroundings {
  /** Whether there is `navigator.gpu`. */
  readonly hasWebGpu: boolean;
  /** What runs the program. */
  readonly runtime: "deno" | "node" | "browser";
}

/** Where this runs. */
export function surroundings(): Surroundings {
  const { Deno: deno, process } = globalThis as { Deno?: unknown; process?: unknown };
  const runtime = deno !== undefined ? "deno" : process !== undefined ? "node" : "browser";
  return { hasWebGpu: globalThis.navigator?.gpu !== undefined, runtime };
}

/** The message of an adapter that is not there. */
export function describeNoAdapter({ hasWebGpu, runtime }: Surroundings): string {
  const found = hasWebGpu
    ? "navigator.gpu.requestAdapter() returned null"
    : runtime === "browser"
    ? "there is no navigator.gpu, which browsers have that know WebGPU, for pages over https"
    : "there is no navigator.gpu";
  return `Cannot find a GPU adapter: ${found}. ${
    hintsOf(runtime)[hasWebGpu ? "noAdapter" : "noWebGpu"]
  }`;
}

const DRIVER = "On Linux, install a Vulkan driver (mesa-vulkan-drivers gives a software one)";

/** What helps without an adapter, and without WebGPU. */
function hintsOf(runtime: Surroundings["runtime"]): { noWebGpu: string; noAdapter: string } {
  if (runtime === "deno") return { noWebGpu: DRIVER, noAdapter: DRIVER };
  if (runtime === "node") {
    return {
      noWebGpu: 'Node has no WebGPU: take the backend "cpu", or run it in Deno',
      noAdapter: 'Take the backend "cpu", or run it in Deno',
    };
  }
  return {
    noWebGpu: 'Update the browser, or take the backend "cpu"',
    noAdapter:
      'Switch on hardware acceleration in the browser\'s settings, or take the backend "cpu"',
  };
}
