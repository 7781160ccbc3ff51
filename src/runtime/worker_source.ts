/** Where a worker's text can be, so that it needs no permission and no file, from wherever this module comes. */

/** A worker of Node's. */
export interface NodeWorker {
  on(event: "message" | "error", listener: (value: unknown) => void): void;
  postMessage(message: unknown, handedOver: ArrayBuffer[]): void;
  terminate(): void;
  /** It no longer keeps the process alive. */
  unref(): void;
}

/** Of Node's `worker_threads`, what is used here: a page's bundle is to import nothing of Node. */
export interface NodeThreads {
  readonly Worker: new (source: URL, options?: { readonly workerData: unknown }) => NodeWorker;
}

/** What Deno and Node have, and pages have not. */
const { process } = globalThis as {
  process?: { getBuiltinModule?: (name: "worker_threads") => NodeThreads };
};

/** Node's workers, which Deno has as well; undefined in a page. */
export function nodeThreads(): NodeThreads | undefined {
  return process?.getBuiltinModule?.("worker_threads");
}

/** For a worker of Node's. */
export function nodeWorkerUrl(text: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

/**
 * For one of the web's; it is there until it is revoked.
 *
 * What comes of a `data:` URL is from elsewhere, for a browser, and is given no shared memory.
 */
export function webWorkerUrl(text: string): string {
  return URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}
