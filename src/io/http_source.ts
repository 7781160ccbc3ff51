import { type ByteSource, checkReadRange } from "./byte_source.ts";
import { quote } from "./quote.ts";

/** How {@linkcode openUrl} reaches the server. */
export interface OpenUrlOptions {
  /** What makes the requests. @default {globalThis.fetch} */
  fetch?: typeof fetch;
  /** Ends requests under way, and refuses later ones. */
  signal?: AbortSignal;
}

/** A server did not give the bytes asked for. Trying again later may help. */
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

/**
 * Opens a file on a web server for reading at any offset. Needs `--allow-net` for its host alone.
 *
 * Each read is one range request. A server without ranges is read as one stream: what lies before
 * the offset is passed over, and an earlier offset makes a new request. Either way no more than the
 * range asked for is held in memory.
 *
 * @param url An `http:` or `https:` URL.
 * @param options How to reach it.
 * @returns The source; it may hold a connection until disposed with `using`.
 * @throws {HttpError} If the server refuses, or its answer is not what was asked for.
 */
export async function openUrl(
  url: string | URL,
  options: OpenUrlOptions = {},
): Promise<ByteSource> {
  const request = new Requests(new URL(url), options);
  const answer = await request.send(0, 1);
  if (answer.kind === "range") {
    await answer.response.body?.cancel();
    return new RangeSource(request, answer.sizeBytes);
  }
  const { response } = answer;
  const length = response.headers.get("content-length");
  // The length is of the bytes sent, which are not the file's if they were compressed on the way.
  if (length !== null && /^[0-9]+$/.test(length) && !isEncoded(response)) {
    return new StreamSource(request, Number(length), response);
  }
  let sizeBytes = 0;
  const body = request.body(response);
  for (let chunk = await body.next(); chunk !== undefined; chunk = await body.next()) {
    sizeBytes += chunk.length;
  }
  return new StreamSource(request, sizeBytes, undefined);
}

type Answer =
  | { kind: "range"; response: Response; sizeBytes: number }
  | { kind: "whole"; response: Response };

/** Sends requests for one URL and checks what the answers say about themselves. */
class Requests {
  /** The URL without what may be secret in it: credentials and query. */
  readonly name: string;
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  readonly #signal: AbortSignal | undefined;
  #etag: string | null | undefined;

  constructor(url: URL, options: OpenUrlOptions) {
    this.name = url.origin + url.pathname;
    this.#url = url;
    this.#fetch = options.fetch ?? fetch;
    this.#signal = options.signal;
  }

  async send(offset: number, length: number): Promise<Answer> {
    this.#signal?.throwIfAborted();
    const last = offset + length - 1;
    let response: Response;
    try {
      response = await this.#fetch(this.#url, {
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
          quote(response.headers.get("content-encoding") ?? "identity"),
        206,
      );
    }
    return { kind: "range", response, sizeBytes: Number(size) };
  }

  body(response: Response): Body {
    return new Body(response, (error) => this.wrap(error, "the connection broke"));
  }

  fail(found: string, status: number): HttpError {
    return new HttpError(`Cannot read ${quote(this.name)}: ${found}`, status);
  }

  /** An abort stays what it is: the caller asked for it. */
  wrap(error: unknown, what: string): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    if (error instanceof Error && error.name === "NotCapable") return error;
    const detail = error instanceof Error ? error.message : String(error);
    const message = `Cannot read ${quote(this.name)}: ${what}: ${detail}`;
    return new HttpError(message, undefined, { cause: error });
  }
}

/** The chunks of an answer; a broken connection becomes our error. */
class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  readonly #wrap: (error: unknown) => unknown;

  constructor(response: Response, wrap: (error: unknown) => unknown) {
    this.#reader = response.body?.getReader();
    this.#wrap = wrap;
  }

  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return (await this.#reader?.read())?.value;
    } catch (error) {
      throw this.#wrap(error);
    }
  }

  /** Closes the connection where the answer has not ended. */
  async cancel(): Promise<void> {
    await this.#reader?.cancel().catch(() => {});
  }
}

function isEncoded(response: Response): boolean {
  return (response.headers.get("content-encoding") ?? "identity") !== "identity";
}

class RangeSource implements ByteSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #requests: Requests;

  constructor(requests: Requests, sizeBytes: number) {
    this.name = requests.name;
    this.sizeBytes = sizeBytes;
    this.#requests = requests;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkReadRange(this.name, this.sizeBytes, offset, length);
    if (length === 0) return new Uint8Array();
    const answer = await this.#requests.send(offset, length);
    if (answer.kind === "whole" || answer.sizeBytes !== this.sizeBytes) {
      await answer.response.body?.cancel();
      throw this.#requests.fail(
        answer.kind === "whole"
          ? "the server answered a range request with the whole file, after it had honoured one"
          : `it has ${answer.sizeBytes} bytes, and had ${this.sizeBytes} when it was opened: load ` +
            `it again`,
        answer.response.status,
      );
    }
    const bytes = new Uint8Array(length);
    let filled = 0;
    const body = this.#requests.body(answer.response);
    for (let chunk = await body.next(); chunk !== undefined; chunk = await body.next()) {
      if (filled + chunk.length > length) {
        await body.cancel();
        throw this.#requests.fail(`more than the ${length} bytes asked for came`, 206);
      }
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    if (filled < length) {
      throw this.#requests.fail(`the answer ended after ${filled} of ${length} bytes`, 206);
    }
    return bytes;
  }

  [Symbol.dispose](): void {}
}

class StreamSource implements ByteSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #requests: Requests;
  #body: Body | undefined;
  /** The part of the last chunk that nobody has asked for yet. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  #position = 0;
  #open = true;
  #last: Promise<unknown> = Promise.resolve();

  constructor(requests: Requests, sizeBytes: number, response: Response | undefined) {
    this.name = requests.name;
    this.sizeBytes = sizeBytes;
    this.#requests = requests;
    this.#body = response === undefined ? undefined : requests.body(response);
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    // There is one stream: reads take their turns.
    const result = this.#last.then(() => this.#read(offset, length));
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#open) throw new TypeError(`Cannot read ${quote(this.name)}: it is closed`);
    checkReadRange(this.name, this.sizeBytes, offset, length);
    if (length === 0) return new Uint8Array();
    if (this.#body === undefined || offset < this.#position) await this.#restart();
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#rest.length === 0) {
        const next = await this.#body?.next();
        if (next === undefined) {
          this.#body = undefined;
          throw this.#requests.fail(
            `the answer ended after ${this.#position} of ${this.sizeBytes} bytes`,
            200,
          );
        }
        this.#rest = next;
      }
      const skipped = Math.min(Math.max(offset - this.#position, 0), this.#rest.length);
      const taken = this.#rest.subarray(skipped, skipped + length - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      this.#position += skipped + taken.length;
      this.#rest = this.#rest.subarray(skipped + taken.length);
    }
    return bytes;
  }

  async #restart(): Promise<void> {
    await this.#close();
    const { kind, response } = await this.#requests.send(0, this.sizeBytes);
    const length = response.headers.get("content-length");
    if (length !== null && !isEncoded(response) && Number(length) !== this.sizeBytes) {
      await response.body?.cancel();
      throw this.#requests.fail(
        `it has ${length} bytes, and had ${this.sizeBytes} when it was opened: load it again`,
        kind === "range" ? 206 : 200,
      );
    }
    this.#body = this.#requests.body(response);
  }

  async #close(): Promise<void> {
    const body = this.#body;
    this.#body = undefined;
    this.#rest = new Uint8Array();
    this.#position = 0;
    await body?.cancel();
  }

  [Symbol.dispose](): void {
    this.#open = false;
    this.#last = this.#last.then(() => this.#close()).catch(() => {});
  }
}
