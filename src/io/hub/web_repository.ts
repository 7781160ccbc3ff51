/** One repository of the hub as a page has it: read where it is, by ranges, and kept nowhere. */

import type { ByteSource } from "../byte_source.ts";
import { HttpError } from "../http/requests.ts";
import { PassingHttpError, retry } from "../http/retry.ts";
import { openUrl } from "../http/source.ts";
import { fileUrl, type HubFile, type HubOptions } from "./client.ts";
import { describeWait } from "./download.ts";
import type { HubFiles } from "./files.ts";
import { hubRefusal } from "./refusal.ts";
import { HUB_ENDPOINT } from "./settings.ts";

/** All files come from one commit, as far as the hub lets a page see which that is. */
export class WebRepository implements HubFiles {
  readonly #repository: string;
  readonly #options: HubOptions;
  /** What the hub is asked for: the commit itself as soon as it is known. */
  #asked: string;
  /** Whether the hub has said something of a file of this revision. */
  #isConfirmed = false;

  /** Names the repository; nothing is asked yet. */
  constructor(repository: string, revision: string, options: HubOptions = {}) {
    this.#repository = repository;
    this.#asked = revision;
    this.#options = options;
  }

  /**
   * Opens a file for reading at any offset.
   *
   * @throws {HttpError} If the hub refuses or cannot be reached.
   */
  async open(file: string): Promise<ByteSource | undefined> {
    const name = { repository: this.#repository, revision: this.#asked, file };
    const { signal } = this.#options;
    const options = {
      fetch: (input: URL | RequestInfo, init?: RequestInit) => this.#ask(name, input, init),
      ...(signal === undefined ? {} : { signal }),
    };
    let source: ByteSource;
    try {
      source = await this.#retry(file, () => openUrl(fileUrl(HUB_ENDPOINT, name), options));
    } catch (error) {
      // Repository and revision are known to be there: it is the file that is missing.
      const isMissing = error instanceof HttpError && error.status === 404;
      if (isMissing && this.#isConfirmed) return undefined;
      throw error;
    }
    return {
      name: source.name,
      sizeBytes: source.sizeBytes,
      read: (offset, length) =>
        this.#retry(file, () => source.read(offset, length).catch(throwPassing)),
      [Symbol.dispose]: () => source[Symbol.dispose](),
    };
  }

  /** There is nothing to fetch before it is read. */
  fetchAll(): Promise<void> {
    return Promise.resolve();
  }

  /** Sends one request and reads what the hub says of itself in the answer. */
  async #ask(file: HubFile, input: URL | RequestInfo, init?: RequestInit): Promise<Response> {
    // Not called as a method: a browser's fetch refuses any receiver but its own.
    const send = this.#options.fetch ?? fetch;
    const response = await send(input, init);
    const { headers, ok, status } = response;
    this.#asked = headers.get("x-repo-commit") ?? this.#asked;
    if (ok || headers.get("x-error-code") === "EntryNotFound") this.#isConfirmed = true;
    if (ok || status === 416) return response;
    await response.body?.cancel();
    const isHub = !response.redirected || new URL(response.url).origin === HUB_ENDPOINT;
    throw hubRefusal(file, response, isHub, undefined);
  }

  #retry<T>(file: string, attempt: () => Promise<T>): Promise<T> {
    const { signal, retryWaitMs, onProgress } = this.#options;
    return retry(attempt, {
      signal,
      firstWaitMs: retryWaitMs,
      onWait: (error, waitMs) =>
        onProgress?.({
          stage: "download",
          file,
          loadedBytes: 0,
          totalBytes: undefined,
          note: describeWait(error, waitMs),
        }),
    });
  }
}

/** A connection that breaks may pass: the file could be opened, so that it is none that the page may not make. */
function throwPassing(error: unknown): never {
  throw error instanceof HttpError && error.status === undefined
    ? new PassingHttpError(error.message, undefined, { cause: error })
    : error;
}
