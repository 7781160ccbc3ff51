/**
 * A hub on this machine that behaves like the real one: small files are served by the hub itself, large ones redirect to
 * storage at another address; both honour ranges. Faults are made on demand.
 */

import { createHash } from "node:crypto";
import type { HubOptions } from "../../../src/io/hub/client.ts";
import { HubRepository } from "../../../src/io/hub/repository.ts";
import type { HubSettings } from "../../../src/io/hub/settings.ts";

/** A request that came. */
export interface HubRequest {
  readonly server: "hub" | "storage";
  readonly method: string;
  readonly repository: string;
  readonly revision: string;
  readonly file: string;
  readonly headers: Headers;
}

/** Gives another answer than the right one, or undefined for the right one. */
export type Fault = (
  request: HubRequest,
  right: () => Response,
) => Response | undefined | Promise<Response | undefined>;

interface Commit {
  readonly id: string;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Larger ones go to storage, as with git LFS. */
const LARGE_BYTES = 4000;

/** What lets pages ask from elsewhere, and see what they need. */
const FOR_PAGES = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "X-Repo-Commit, X-Error-Code, ETag, Content-Range",
};

export const sha1 = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** What git calls a file with this content. */
export const gitHash = (bytes: Uint8Array) => sha1(`blob ${bytes.length}\0`, bytes);

export class LocalHub implements AsyncDisposable {
  /** What came, in order. */
  readonly requests: HubRequest[] = [];
  fault: Fault | undefined;
  /** Repositories that only this token may see. */
  readonly private = new Map<string, string>();
  readonly #repositories = new Map<string, Map<string, Commit>>();
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #storage: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const serve = (server: "hub" | "storage") =>
      Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen() {} },
        (request) => this.#answer(server, request),
      );
    this.#hub = serve("hub");
    this.#storage = serve("storage");
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /** Settings with a cache of one's own. */
  settings(cache: string, others: Partial<HubSettings> = {}): HubSettings {
    return { endpoint: this.endpoint, cache, token: undefined, offline: false, ...others };
  }

  /** Gives a revision new content, and returns its commit. */
  add(
    repository: string,
    revision: string,
    files: Readonly<Record<string, string | Uint8Array>>,
  ): string {
    const content = Object.entries(files).map(([name, value]) =>
      [name, typeof value === "string" ? new TextEncoder().encode(value) : value.slice()] as const
    );
    const id = sha1(repository, revision, ...content.flat());
    const commits = this.#repositories.get(repository) ?? new Map<string, Commit>();
    this.#repositories.set(repository, commits);
    const commit = { id, files: new Map(content) };
    commits.set(revision, commit);
    commits.set(id, commit);
    return id;
  }

  /** Gives a revision the files of a folder. */
  addFolder(repository: string, revision: string, folder: string, names: string[]): string {
    const files = names.map((name) => [name, Deno.readFileSync(`${folder}/${name}`)]);
    return this.add(repository, revision, Object.fromEntries(files));
  }

  async #answer(server: "hub" | "storage", request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, owner, name, , revision = "", ...path] = pathname.split("/").map(decodeURIComponent);
    const asked: HubRequest = {
      server,
      method: request.method,
      repository: `${owner}/${name}`,
      revision,
      file: path.join("/"),
      headers: request.headers,
    };
    this.requests.push(asked);
    const right = () => this.#right(asked);
    const response = await this.fault?.(asked, right) ?? right();
    for (const [header, value] of Object.entries(FOR_PAGES)) response.headers.set(header, value);
    return response;
  }

  #right(asked: HubRequest): Response {
    const { server, repository, revision, file, headers } = asked;
    const token = this.private.get(repository);
    const commits = this.#repositories.get(repository);
    const error = (status: number, code: string, extra: Record<string, string> = {}) =>
      new Response(null, { status, headers: { "x-error-code": code, ...extra } });
    if (server === "hub" && token !== undefined) {
      const sent = headers.get("authorization");
      if (sent === null) return error(401, "GatedRepo");
      if (sent !== `Bearer ${token}`) return error(403, "GatedRepo");
    }
    // The real hub does not say which repositories there are to those who may not know.
    if (commits === undefined) return error(401, "RepoNotFound");
    const commit = commits.get(revision);
    if (commit === undefined) return error(404, "RevisionNotFound");
    const about = { "x-repo-commit": commit.id };
    const bytes = commit.files.get(file);
    if (bytes === undefined) return error(404, "EntryNotFound", about);
    if (server === "storage") return content(asked, bytes, { etag: '"something else"' });
    if (bytes.length <= LARGE_BYTES) {
      return content(asked, bytes, { ...about, etag: `W/"${gitHash(bytes)}"` });
    }
    const path = [...repository.split("/"), "resolve", revision, ...file.split("/")]
      .map(encodeURIComponent).join("/");
    return new Response(null, {
      status: 302,
      headers: {
        ...about,
        "x-linked-etag": `"${sha256(bytes)}"`,
        "x-linked-size": String(bytes.length),
        location: `http://127.0.0.1:${this.#storage.addr.port}/${path}?signature=1`,
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#hub.shutdown(), this.#storage.shutdown()]);
  }
}

function content(
  { method, headers }: HubRequest,
  bytes: Uint8Array<ArrayBuffer>,
  about: Record<string, string>,
): Response {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "") ?? [];
  const first = Number(from ?? 0);
  if (from !== undefined && first >= bytes.length) {
    return new Response(null, {
      status: 416,
      headers: { ...about, "content-range": `bytes */${bytes.length}` },
    });
  }
  const last = Math.min(to ? Number(to) : Infinity, bytes.length - 1);
  const part = bytes.subarray(first, last + 1);
  const range = { "content-range": `bytes ${first}-${last}/${bytes.length}` };
  return new Response(method === "HEAD" ? null : part, {
    status: from === undefined ? 200 : 206,
    headers: {
      ...about,
      ...(from === undefined ? {} : range),
      "content-length": String(part.length),
    },
  });
}

/** The first bytes of an answer, then a connection that breaks. */
export function cut(response: Response, length: number): Response {
  const reader = response.body?.getReader();
  let left = length;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = left > 0 ? (await reader?.read())?.value : undefined;
      if (piece === undefined) {
        await reader?.cancel();
        // Less than Content-Length says: the server can only break the connection.
        controller.close();
        return;
      }
      controller.enqueue(piece.subarray(0, left));
      left -= piece.length;
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

/** All files and links under a folder, with "-> target" for links, sorted. */
export async function listFolder(folder: string, under = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${under}`)) {
    const path = under === "" ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory) found.push(...await listFolder(folder, path));
    else if (entry.isSymlink) {
      found.push(`${path} -> ${await Deno.readLink(`${folder}/${path}`)}`);
    } else found.push(path);
  }
  return found.sort();
}

/** A hub, an empty folder for the cache, and what opens repositories in it; all gone afterwards. */
export async function withHub(
  test: (hub: LocalHub, cache: string, open: OpenRepository) => Promise<void>,
): Promise<void> {
  await using hub = new LocalHub();
  const cache = await Deno.makeTempDir();
  try {
    await test(
      hub,
      cache,
      (repository, revision = "main", options = {}, settings = {}) =>
        new HubRepository(repository, revision, hub.settings(cache, settings), {
          retryWaitMs: 1,
          ...options,
        }),
    );
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

export type OpenRepository = (
  repository: string,
  revision?: string,
  options?: HubOptions,
  settings?: Partial<HubSettings>,
) => HubRepository;
