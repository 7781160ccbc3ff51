/** Files that were dropped on the page, as a server would give them. */

/**
 * A fetch that answers out of files by the last part of a URL's path, ranges included: so they are loaded as if they
 * were downloaded, and none is read as a whole.
 */
export function fetchFiles(files: readonly File[]): typeof fetch {
  const byName = new Map(files.map((file) => [file.name, file]));
  return (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const file = byName.get(decodeURIComponent(pathname.slice(pathname.lastIndexOf("/") + 1)));
    if (file === undefined) return Promise.resolve(new Response(null, { status: 404 }));
    const asked = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get("range") ?? "");
    if (file.size === 0) {
      const headers = { "content-range": "bytes */0" };
      return Promise.resolve(new Response(null, { status: 416, headers }));
    }
    const [first, last] = asked === null
      ? [0, file.size - 1]
      : [Number(asked[1]), Math.min(Number(asked[2]), file.size - 1)];
    const part = file.slice(first, last + 1);
    const headers = {
      "content-length": String(part.size),
      "content-range": `bytes ${first}-${last}/${file.size}`,
    };
    return Promise.resolve(new Response(part, { status: 206, headers }));
  };
}
