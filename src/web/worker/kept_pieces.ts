/** Downloads that stay in the browser: pieces of files, so that what broke off goes on where it ended. */

/** The browser's store for them. */
const STORE = "slither-downloads-1";

/** Pieces stand under the file's URL with this added: no server is ever asked for it. */
const PIECE = "#slither-piece=";

/** A file that is kept, as far as it came. */
export interface KeptFile {
  readonly url: string;
  readonly sizeBytes: number;
}

/**
 * A fetch that keeps the pieces of files that it gets, by file, version and range, and gives them again.
 *
 * Whether it is the same version says its ETag, which the first request for a file, of one byte, brings; without one
 * nothing is kept. The URL is the one that was asked for: a hub's storage may have another for each day.
 */
export function keepingFetch(send: typeof fetch = fetch): typeof fetch {
  const versions = new Map<string, string>();
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(
      new Headers(init?.headers).get("range") ?? "",
    ) ?? [];
    const length = Number(last) - Number(first) + 1;
    const version = versions.get(url);
    const isPiece = length > 1;
    const key = `${url}${PIECE}${encodeURIComponent(version ?? "")}:${first}-${last}`;
    const store = await openStore();
    if (isPiece && version !== undefined) {
      const kept = await store?.match(keyOf(key));
      if (kept !== undefined) return asRange(kept);
    }
    const response = await send(input, init);
    const etag = response.headers.get("etag");
    if (response.status !== 206 || etag === null) return response;
    versions.set(url, etag);
    if (!isPiece || store === undefined) return response;
    const bytes = await response.arrayBuffer();
    const headers = {
      etag,
      "content-range": response.headers.get("content-range") ?? "",
      "content-length": String(bytes.byteLength),
    };
    if (bytes.byteLength === length) {
      await store.put(keyOf(key), new Response(bytes, { headers })).catch(ignoreFullStore);
    }
    return new Response(bytes, { status: 206, headers });
  };
}

/** The files that are kept, by URL. */
export async function listKeptFiles(): Promise<KeptFile[]> {
  const sizes = new Map<string, number>();
  const store = await openStore();
  for (const { url } of await store?.keys() ?? []) {
    const { file, sizeBytes } = readKey(url);
    sizes.set(file, (sizes.get(file) ?? 0) + sizeBytes);
  }
  return [...sizes].map(([url, sizeBytes]) => ({ url, sizeBytes }));
}

/** Deletes all pieces of a file. */
export async function deleteKeptFile(url: string): Promise<void> {
  const store = await openStore();
  for (const key of await store?.keys() ?? []) {
    if (readKey(key.url).file === url) await store?.delete(key);
  }
}

/** Fragments are no part of a store's keys, so that the piece goes where they count. */
function keyOf(key: string): string {
  const url = new URL("https://kept.invalid/");
  url.search = new URLSearchParams({ key }).toString();
  return url.href;
}

function readKey(url: string): { file: string; sizeBytes: number } {
  const key = new URL(url).searchParams.get("key") ?? "";
  const [, first = 0, last = -1] = /:(\d+)-(\d+)$/.exec(key) ?? [];
  return {
    file: key.slice(0, key.lastIndexOf(PIECE)),
    sizeBytes: Number(last) - Number(first) + 1,
  };
}

function asRange(kept: Response): Response {
  return new Response(kept.body, { status: 206, headers: kept.headers });
}

/** Browsers have it only on pages of https and localhost, and may refuse it. */
async function openStore(): Promise<Cache | undefined> {
  const { caches } = globalThis as { caches?: CacheStorage };
  return await caches?.open(STORE).catch(() => undefined);
}

/** A model that the browser has no room to keep is used all the same. */
function ignoreFullStore(error: unknown): void {
  if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
}
