import { type ByteSource, checkReadRange } from "../byte_source.ts";
import { type Body, isEncoded, type OpenUrlOptions, Requests } from "./requests.ts";
import { quote } from "../quote.ts";

export { HttpError, type OpenUrlOptions } from "./requests.ts";

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
