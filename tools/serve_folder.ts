/** A server of static files, as hosts have them: ranges, types, and the two headers that isolate a page. */

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  png: "image/png",
  safetensors: "application/octet-stream",
};

/** What lets the page's workers share memory, and so the CPU have threads. */
const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** How a folder is served. */
export interface ServeFolderOptions {
  /** Whether the page is isolated. */
  readonly isolated: boolean;
  /** The path that the folder is served under, with a slash at its end. @default {"/"} */
  readonly base?: string;
}

/** Makes the handler of requests for a folder's files. */
export function folderHandler(
  folder: string,
  { isolated, base = "/" }: ServeFolderOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const path = decodePath(new URL(request.url).pathname);
    const name = path.endsWith("/") ? `${path}index.html` : path;
    if (!name.startsWith(base) || name.split(/[/\\]/).includes("..")) return notFound();
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await Deno.readFile(`${folder}/${name.slice(base.length)}`);
    } catch (error) {
      if (MISSING.some((kind) => error instanceof kind)) return notFound();
      throw error;
    }
    const headers = new Headers({
      "content-type": TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
      "cache-control": "no-cache",
      ...(isolated ? ISOLATION : {}),
    });
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
    if (range === null) return new Response(bytes, { headers });
    const first = Number(range[1]);
    if (first >= bytes.length) {
      headers.set("content-range", `bytes */${bytes.length}`);
      return new Response(null, { status: 416, headers });
    }
    const part = bytes.subarray(first, range[2] === "" ? undefined : Number(range[2]) + 1);
    headers.set("content-range", `bytes ${first}-${first + part.length - 1}/${bytes.length}`);
    return new Response(part, { status: 206, headers });
  };
}

/** What there is for a name that is no file's: a folder has none of its own. */
const MISSING = [Deno.errors.NotFound, Deno.errors.IsADirectory, Deno.errors.NotADirectory];

/** A path in plain letters; what is not UTF-8 names nothing. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

function notFound(): Response {
  return new Response("There is no such file\n", { status: 404 });
}
