/** Speaks to a hub: what a file of a repository is, and what it holds. */

import { describeFailure, isUnknownHost } from "../http/failure.ts";
import { Body, HttpError, isEncoded, UnknownHostError } from "../http/requests.ts";
import { cannotDownload, hubRefusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";
import { quote } from "../quote.ts";
import { PassingHttpError } from "../http/retry.ts";
import { StallTimer } from "../http/stall_timer.ts";

/** How a hub is reached, and who is told how it goes. */
export interface HubOptions {
  /** What makes the requests. @default {globalThis.fetch} */
  readonly fetch?: typeof fetch | undefined;
  /** Ends what is under way, with the signal's reason. What has come stays, to go on from. */
  readonly signal?: AbortSignal | undefined;
  /** Is told after every piece, and when there is something to wait for. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** The first pause before a request is tried again. @default {1000} */
  readonly retryWaitMs?: number | undefined;
  /** A connection on which nothing comes for so long is given up. @default {30000} */
  readonly stallMs?: number | undefined;
}

/** How far a download has come. */
export interface DownloadProgress {
  /** What is being done, where loading has other stages. */
  readonly stage: "download";
  /** The file's name. */
  readonly file: string;
  /** Bytes that are here: of this file, and of those fetched with it. */
  readonly loadedBytes: number;
  /** Bytes that there will be; undefined where the hub does not say. */
  readonly totalBytes: number | undefined;
  /** What is being waited for, where something is. */
  readonly note?: string | undefined;
}

/** A file of a repository. */
export interface HubFile {
  /** Owner and name. */
  readonly repository: string;
  /** A branch, tag, ref or commit. */
  readonly revision: string;
  /** Its path in the repository. */
  readonly file: string;
}

/** What the hub says of a file that it has. */
export interface FileFacts {
  /** The commit that the revision means now. */
  readonly commit: string;
  /** What the file holds: a SHA-256, or what git calls a small file. It is fit to be a file's name. */
  readonly hash: string;
  /** Its length, where the hub says it. */
  readonly sizeBytes: number | undefined;
}

/** A file that a commit does not have. */
export interface AbsentFile {
  /** The commit, where the hub says it. */
  readonly commit: string | undefined;
  /** There is no content to name. */
  readonly hash?: undefined;
}

/** An answer, and its content piece by piece. */
export interface HubContent extends AsyncDisposable {
  readonly response: Response;
  /** The next piece, or undefined at the end. */
  next(): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/** A hub says at once what a file is: who waits longer for it waits for a network that swallows everything. */
const MAX_ANSWER_MS = 10_000;

/** Storage behind a hub redirects once or twice. More than this is a circle. */
const MAX_REDIRECTS = 10;

/** A hash in any form that hubs use; it becomes a file's name. */
const HASH = /^[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$/;

/** Asks a hub about files, and for them. */
export class HubClient {
  readonly #settings: HubSettings;
  readonly #options: HubOptions;
  /** Whether any host was reached. */
  #hasAnswered = false;

  /** Prepares requests; none is made. */
  constructor(settings: HubSettings, options: HubOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /**
   * Asks what a file is.
   *
   * @param file Which.
   * @returns Its facts, or that the commit has no such file.
   * @throws {PassingHttpError} If asking again may help.
   * @throws {HttpError} If the hub refuses, or is none.
   */
  async describe(file: HubFile): Promise<FileFacts | AbsentFile> {
    // What a redirect says of the file counts: storage, where it leads to, knows nothing of repositories.
    let commit: string | null = null, hash: string | null = null, size: string | null = null;
    let url = fileUrl(this.#settings.endpoint, file);
    for (let redirects = 0;; redirects++) {
      const answer = await this.#send(file, "HEAD", url);
      try {
        const { headers, status } = answer.response;
        commit ??= headers.get("x-repo-commit");
        hash ??= headers.get("x-linked-etag");
        size ??= headers.get("x-linked-size");
        const target = this.#target(file, answer.response, url, redirects);
        if (target === undefined && status === 404 && isMissingEntry(headers)) {
          return { commit: commit === null ? undefined : checkCommit(file, commit) };
        }
        if (target === undefined && status !== 200) throw this.#refusal(file, answer.response, url);
        const isLast = target === undefined || target.origin !== url.origin ||
          (commit !== null && hash !== null);
        if (!isLast) {
          url = target;
          continue;
        }
        // A redirect's own length is that of a page which says so, and an encoded length is not the file's.
        if (target === undefined && !isEncoded(answer.response)) {
          size ??= headers.get("content-length");
        }
        return {
          commit: checkCommit(file, commit),
          hash: checkHash(file, hash ?? headers.get("etag")),
          sizeBytes: size !== null && /^\d+$/.test(size) ? Number(size) : undefined,
        };
      } finally {
        await answer[Symbol.asyncDispose]();
      }
    }
  }

  /**
   * Asks for what a file holds.
   *
   * @param file Which.
   * @param offset The first byte wanted.
   * @returns The answer: 206 from the offset on, 200 with all of the file, or 416 if it ends there.
   * @throws {PassingHttpError} If asking again may help.
   * @throws {HttpError} If the hub refuses.
   */
  async read(file: HubFile, offset: number): Promise<HubContent> {
    let url = fileUrl(this.#settings.endpoint, file);
    for (let redirects = 0;; redirects++) {
      const range = offset === 0 ? undefined : `bytes=${offset}-`;
      const answer = await this.#send(file, "GET", url, range);
      let isContent = false;
      try {
        const target = this.#target(file, answer.response, url, redirects);
        isContent = [200, 206, 416].includes(answer.response.status);
        if (isContent) return answer;
        if (target === undefined) throw this.#refusal(file, answer.response, url);
        url = target;
      } finally {
        if (!isContent) await answer[Symbol.asyncDispose]();
      }
    }
  }

  #isHub(url: URL): boolean {
    return url.origin === new URL(this.#settings.endpoint).origin;
  }

  #refusal(file: HubFile, response: Response, url: URL): HttpError {
    return hubRefusal(file, response, this.#isHub(url), this.#settings);
  }

  /** Where an answer redirects to, if it does. */
  #target(file: HubFile, response: Response, url: URL, redirects: number): URL | undefined {
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return undefined;
    const target = URL.parse(location, url);
    if (redirects < MAX_REDIRECTS && target !== null && /^https?:$/.test(target.protocol)) {
      return target;
    }
    throw new HttpError(
      `${cannotDownload(file)}: the redirect ${
        quote(location)
      } leads nowhere, after ${redirects} others. ` +
        `Check HF_ENDPOINT`,
      response.status,
    );
  }

  /** Redirects are followed by hand, so that the token goes to the hub's own address and to no other. */
  async #send(file: HubFile, method: string, url: URL, range?: string): Promise<HubContent> {
    const { signal, stallMs = 30_000 } = this.#options;
    const { token } = this.#settings;
    const headers = new Headers({ "accept-encoding": "identity" });
    if (range !== undefined) headers.set("range", range);
    if (token !== undefined && this.#isHub(url)) headers.set("authorization", `Bearer ${token}`);
    // Not called as a method: a browser's fetch refuses any receiver but its own.
    const send = this.#options.fetch ?? fetch;
    const waitMs = method === "HEAD" ? Math.min(stallMs, MAX_ANSWER_MS) : stallMs;
    const stall = new StallTimer(waitMs);
    const wrap = (cause: unknown): unknown => {
      if (signal?.aborted) return signal.reason;
      if (cause instanceof Error && cause.name === "NotCapable") return cause;
      const reason = stall.signal.aborted
        ? `nothing came for ${waitMs / 1000} s`
        : describeFailure(cause);
      const message = `${
        cannotDownload(file)
      }: ${reason}. Check the network, or set HF_ENDPOINT to a mirror`;
      // A name that was known a moment ago will be known again.
      return isUnknownHost(cause) && !this.#hasAnswered
        ? new UnknownHostError(message, { cause })
        : new PassingHttpError(message, undefined, { cause });
    };
    let response: Response;
    try {
      response = await send(url, {
        method,
        headers,
        redirect: "manual",
        signal: AbortSignal.any([stall.signal, ...(signal === undefined ? [] : [signal])]),
      });
    } catch (error) {
      const reason = wrap(error);
      stall[Symbol.dispose]();
      throw reason;
    }
    this.#hasAnswered = true;
    const body = new Body(response, wrap, signal);
    return {
      response,
      next() {
        stall.restart();
        return body.next();
      },
      async [Symbol.asyncDispose]() {
        stall[Symbol.dispose]();
        await body.cancel();
      },
    };
  }
}

/** Where a hub has a file, or says where it is. */
export function fileUrl(endpoint: string, { repository, revision, file }: HubFile): URL {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return new URL(`${endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/${path}`);
}

/** Without a code it may as well be the repository that is missing. */
function isMissingEntry(headers: Headers): boolean {
  return headers.get("x-error-code") === "EntryNotFound";
}

function checkCommit(file: HubFile, commit: string | null): string {
  if (commit !== null && /^[0-9A-Za-z_-]{1,64}$/.test(commit)) return commit;
  throw new HttpError(
    `${cannotDownload(file)}: the answer has ${
      commit === null ? "no commit" : `the commit ${quote(commit)}`
    } (X-Repo-Commit), so that this is no hub. Check HF_ENDPOINT`,
    undefined,
  );
}

function checkHash(file: HubFile, etag: string | null): string {
  const hash = etag?.replace(/^W\//, "").replaceAll('"', "") ?? "";
  if (HASH.test(hash)) return hash;
  throw new HttpError(
    `${cannotDownload(file)}: the answer has ${
      etag === null ? "no ETag" : `the ETag ${quote(etag)}`
    }, and the cache needs one to name the file by. Check HF_ENDPOINT`,
    undefined,
  );
}
