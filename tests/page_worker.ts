/**
 * A page, as far as a worker of Deno's can be one: nothing of Deno or Node is there when the bundle is imported, and of
 * answers from elsewhere it sees what a browser would show. Answers each {@linkcode PageTask} with a {@linkcode PageResult}.
 */

/** What the page shall do. */
export interface PageTask {
  /** The URL of the bundle of mod.ts. */
  readonly bundle: string;
  /** What stands for https://huggingface.co. */
  readonly hub: string;
  /** What {@linkcode loadModel} is given. */
  readonly source: string;
  /** Ids, or for a classifier the bytes of an image of 28 x 28. */
  readonly prompt: readonly number[];
  /** Whether the page has no WebGPU, or does not want it. */
  readonly onCpu: boolean;
}

/** What came of it: ids that were generated or probabilities of classes, or an error's message. */
export interface PageResult {
  readonly ids?: readonly number[];
  readonly probabilities?: Float32Array;
  /** Results of a kernel's checks on the same device. */
  readonly checks?: readonly boolean[];
  readonly device?: string;
  readonly error?: string;
}

/** The worker's own scope, of which TypeScript here knows only a page's. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<PageTask>) => void;
  postMessage(result: PageResult): void;
};

/** What a browser's scripts see of an answer from elsewhere without being told: the safelist of the fetch standard. */
const ALWAYS_EXPOSED = [
  ...["cache-control", "content-language", "content-length", "content-type", "expires"],
  ...["last-modified", "pragma"],
];

const send = fetch;

/** A browser's fetch, which hides what a server from elsewhere does not expose, with the hub where the test has it. */
function fetchAsPage(hub: string): typeof fetch {
  return async (input, init) => {
    const url = String(input).replace(/^https:\/\/huggingface\.co(?=\/)/, hub);
    const response = await send(url, init);
    const { headers } = response;
    if (headers.get("access-control-allow-origin") !== "*") throw new TypeError("Failed to fetch");
    const exposed = new Set([
      ...ALWAYS_EXPOSED,
      ...(headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/, */),
    ]);
    const seen = new Headers([...headers].filter(([name]) => exposed.has(name)));
    return Object.defineProperty(response, "headers", { value: seen });
  };
}

async function run({ bundle, hub, source, prompt, onCpu }: PageTask): Promise<PageResult> {
  const { imageToInput, loadModel, runChecks }: typeof import("../mod.ts") = await import(bundle);
  const adapter = onCpu ? undefined : await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  const backend = onCpu ? "cpu" : "auto";
  using model = await loadModel(source, { fetch: fetchAsPage(hub), backend, device });
  const layout = model.config.preprocessing;
  if (layout?.kind === "image") {
    const input = imageToInput(Uint8Array.from(prompt), 28, 28, 1, layout);
    const { probabilities } = await model.classify(input);
    return { probabilities };
  }
  const ids: number[] = [];
  for await (const { id } of model.generate(prompt, { maxTokens: 8, temperature: 0 })) ids.push(id);
  if (onCpu) return { ids, device: model.device };
  const checks = await Array.fromAsync(runChecks({ kernels: ["rms_norm_fwd"], device }));
  return { ids, checks: checks.map(({ passed }) => passed), device: model.device };
}

for (const name of ["Deno", "process", "Buffer", "global", "setImmediate", "clearImmediate"]) {
  if (!Reflect.deleteProperty(globalThis, name)) throw new Error(`Cannot delete ${name}`);
}
scope.onmessage = ({ data }) => {
  run(data).catch((error: unknown) => ({ error: String(error) })).then(scope.postMessage);
};
