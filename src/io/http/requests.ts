import { eventLoopTurn, isTurnDue } from "../event_loop_turn.ts";
import { quote } from "../quote.ts";
import { describeFailure } from "./failure.ts";

/** How {@linkcode openUrl} reaches the server. */
export interface OpenUrlOptions {
  /** What makes the requests. @default {globalThis.fetch} */
  fetch?: typeof fetch;
  /** Ends requests under way, and refuses later ones. */
  signal?: AbortSignal;
}

/**
 * A server did not give the bytes asked for. Trying again later may help.
 *
 * @example A server that refuses
 * ```ts
 * import { HttpError, loadModel } from "../../../mod.ts";
 *
 * const refuse = () => Promise.resolve(new Response(null, { status: 403 }));
 * const error = await loadModel("https://example.com/model/", { fetch: refuse })
 *   .catch((error) => error);
 * error instanceof HttpError && error.status; // 403
 * ```
 */
export class HttpError extends Error {
  /** The class's name. */
  override readonly name = "HttpError";
  /** The status of the answer, or undefined where there was no answer. */
  readonly status: number | undefined;

  /**
   * Describes a failed request.
   *
   * @param message What was asked for, found and needed.
   * @param status The status of the answer, if there was one.
   * @param options The original failure.
   */
  constructor(message: string, status: number | undefined, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Nobody knows the server's name. Trying again at once will not help. */
export class UnknownHostError extends HttpError {
  /** Describes the request. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, undefined, options);
  }
}

/** What a server sends: the range asked for, or all of the file. */
export type Answer =
  | { kind: "range"; response: Response; sizeBytes: number }
  | { kind: "whole"; response: Response };

/** Sends requests for one URL and checks what the answers say about themselves. */
export class Requests {
  /** The URL without what may be secret in it: credentials and query. */
  readonly name: string;
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  readonly #signal: AbortSignal | undefined;
  #etag: string | null | undefined;

  /** Prepares requests for `url`. */
  constructor(url: URL, options: OpenUrlOptions) {
    this.name = url.origin + url.pathname;
    this.#url = url;
    this.#fetch = options.fetch ?? fetch;
    this.#signal = options.signal;
  }

  /** Asks for `length` bytes from `offset` on. */
  async send(offset: number, length: number): Promise<Answer> {
    this.#signal?.throwIfAborted();
    const last = offset + length - 1;
    // Not called as a method: a browser's fetch refuses any receiver but its own.
    const send = this.#fetch;
    let response: Response;
    try {
      response = await send(this.#url, {
        headers: { range: `bytes=${offset}-${last}`, "accept-encoding": "identity" },
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      });
    } catch (error) {
      throw this.wrap(error, "the request failed");
    }
    try {
      return this.#check(response, offset, last);
    } catch (error) {
      await response.body?.cancel().catch(() => {});
      throw error;
    }
  }

  #check(response: Response, offset: number, last: number): Answer {
    const range = response.headers.get("content-range") ?? "";
    if (response.status === 416 && /^bytes \*\/0$/.test(range)) {
      return { kind: "range", response, sizeBytes: 0 };
    }
    if (response.status !== 200 && response.status !== 206) {
      const text = response.statusText === "" ? "" : ` ${response.statusText}`;
      throw this.fail(`the server answered ${response.status}${text}`, response.status);
    }
    // A file replaced between two requests gives halves of two files, which may well parse.
    const etag = response.headers.get("etag");
    if (this.#etag !== undefined && etag !== this.#etag) {
      throw this.fail(
        `the file changed between two requests (ETag ${this.#etag}, then ${etag}): load it again`,
        response.status,
      );
    }
    this.#etag = etag;
    if (response.status === 200) return { kind: "whole", response };
    const [, first, final, size] = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+)$/.exec(range) ?? [];
    if (Number(first) !== offset || Number(final) !== last || isEncoded(response)) {
      throw this.fail(
        `bytes ${offset}-${last} were asked for, and the answer has Content-Range ` +
          `${quote(range)} with Content-Encoding ` +
          quote(response.headers.get("content-encoding") ?? "identity") +
          // What a browser does not show is as if it were not there.
          (range === "" ? " (to a page elsewhere a server must expose Content-Range)" : ""),
        206,
      );
    }
    return { kind: "range", response, sizeBytes: Number(size) };
  }

  /** The answer's chunks. */
  body(response: Response): Body {
    return new Body(
      response,
      (error) => this.wrap(error, "the connection broke"),
      this.#signal,
    );
  }

  /** The error for what was found. */
  fail(found: string, status: number): HttpError {
    return new HttpError(`Cannot read ${quote(this.name)}: ${found}`, status);
  }

  /** An abort stays what it is: the caller asked for it. */
  wrap(error: unknown, what: string): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    // What sends the requests may know better what an answer means.
    if (error instanceof HttpError) return error;
    if (error instanceof Error && error.name === "NotCapable") return error;
    const message = `Cannot read ${quote(this.name)}: ${what}: ${describeFailure(error)}`;
    return new HttpError(message, undefined, { cause: error });
  }
}

/** The chunks of an answer; a broken connection becomes our error. */
export class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  readonly #wrap: (error: unknown) => unknown;
  readonly #signal: AbortSignal | undefined;

  /** Takes over the body of `response`; an abort ends it, whoever made it. */
  constructor(
    response: Response,
    wrap: (error: unknown) => unknown,
    signal?: AbortSignal,
  ) {
    this.#reader = response.body?.getReader();
    this.#wrap = wrap;
    this.#signal = signal;
  }

  /** The next chunk, or undefined at the end. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    // A body in memory has always something to give: an abort would never get its turn.
    if (isTurnDue()) await eventLoopTurn();
    const end = (): void => {
      this.cancel();
    };
    this.#signal?.addEventListener("abort", end);
    try {
      this.#signal?.throwIfAborted();
      const chunk = await this.#reader?.read();
      this.#signal?.throwIfAborted();
      return chunk?.value;
    } catch (error) {
      throw this.#wrap(error);
    } finally {
      this.#signal?.removeEventListener("abort", end);
    }
  }

  /** Closes the connection where the answer has not ended. */
  async cancel(): Promise<void> {
    await this.#reader?.cancel().catch(() => {});
  }
}

/** Whether the bytes sent are not the file's own. */
export function isEncoded(response: Response): boolean {
  return (response.headers.get("content-encoding") ?? "identity") !== "identity";
}
