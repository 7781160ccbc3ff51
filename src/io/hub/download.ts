/** Gets what one file holds, from where an earlier attempt ended, and checks it before it counts. */

import { findMismatch } from "./content_hash.ts";
import { HttpError } from "../http/requests.ts";
import type { FileFacts, HubClient, HubContent, HubFile, HubOptions } from "./client.ts";
import { cannotDownload } from "./refusal.ts";
import { openPartialFile, type PartialFile } from "./partial_file.ts";
import { quote } from "../quote.ts";
import { PassingHttpError, retry } from "../http/retry.ts";

/** A wrong copy may be an accident on the way. As many as this are not. */
const MAX_WRONG_COPIES = 3;

/**
 * Downloads a file to its place in the cache.
 *
 * What comes is kept in PATH.incomplete, whatever ends the attempt, and the next attempt goes on from there: in this
 * call, in a later one or in another program. Only a copy that is wrong is thrown away. Call it with the lock of the
 * place held.
 *
 * @param client How to ask.
 * @param file Which file.
 * @param facts What the hub says of it.
 * @param path Where the content goes.
 * @param options Who is told, and what ends it.
 * @throws {HttpError} If the hub refuses, or gives something wrong again and again.
 */
export async function downloadContent(
  client: HubClient,
  file: HubFile,
  facts: FileFacts,
  path: string,
  options: HubOptions,
): Promise<void> {
  const partial = `${path}.incomplete`;
  const output = await openPartialFile(partial);
  try {
    await fill(output, partial, client, file, facts, options);
  } catch (error) {
    if (output.sizeBytes === 0) await Deno.remove(partial);
    throw error;
  } finally {
    output[Symbol.dispose]();
  }
  await Deno.rename(partial, path);
}

/** Tries until the partial file is what it should be. */
async function fill(
  output: PartialFile,
  path: string,
  client: HubClient,
  file: HubFile,
  facts: FileFacts,
  { signal, retryWaitMs, onProgress }: HubOptions,
): Promise<void> {
  let most = output.sizeBytes;
  let wrongCopies = 0;
  const report = (note?: string) =>
    onProgress?.({
      stage: "download",
      file: file.file,
      loadedBytes: output.sizeBytes,
      totalBytes: facts.sizeBytes,
      note,
    });
  const attempt = async (progressed: () => void): Promise<void> => {
    const onPiece = () => {
      report();
      // What has come before is no progress when it comes again.
      if (output.sizeBytes > most) progressed();
      most = Math.max(most, output.sizeBytes);
    };
    const found = await receive(client, file, facts, output, onPiece) ??
      await findMismatch(path, output.sizeBytes, facts.hash);
    if (found === undefined) return;
    await output.clear();
    most = 0;
    wrongCopies++;
    const problem = `${cannotDownload(file)}: ${found}`;
    if (wrongCopies < MAX_WRONG_COPIES) throw new PassingHttpError(problem, undefined);
    throw new HttpError(
      `${problem}, ${wrongCopies} times. Try again later, or check HF_ENDPOINT and proxies`,
      undefined,
    );
  };
  await retry(attempt, {
    signal,
    firstWaitMs: retryWaitMs,
    onWait: (error, waitMs) => report(describeWait(error, waitMs)),
  });
  await output.sync();
}

/** For a line on a terminal: the message is shown in full if it does not pass. */
export function describeWait(error: PassingHttpError, waitMs: number): string {
  const what = error.status === undefined ? "no answer" : `the answer is ${error.status}`;
  return `${what}, trying again in ${Math.ceil(waitMs / 1000)} s`;
}

/**
 * Asks for what is missing, once, and keeps what comes.
 *
 * @returns What is wrong with it, if it cannot be the file; undefined if it can.
 * @throws {PassingHttpError} If less came than there is.
 */
async function receive(
  client: HubClient,
  file: HubFile,
  { sizeBytes }: FileFacts,
  output: PartialFile,
  onPiece: () => void,
): Promise<string | undefined> {
  if (output.sizeBytes === sizeBytes) return undefined;
  if (sizeBytes !== undefined && output.sizeBytes > sizeBytes) await output.clear();
  const content = await client.read(file, output.sizeBytes);
  try {
    if (!await goesOn(file, content, output)) return undefined;
    onPiece();
    for (let piece = await content.next(); piece !== undefined; piece = await content.next()) {
      if (sizeBytes !== undefined && output.sizeBytes + piece.length > sizeBytes) {
        return `more than the ${sizeBytes} bytes came that it should have`;
      }
      await output.append(piece);
      onPiece();
    }
    if (sizeBytes !== undefined && output.sizeBytes < sizeBytes) {
      throw new PassingHttpError(
        `${
          cannotDownload(file)
        }: the answer ended after ${output.sizeBytes} of ${sizeBytes} bytes. Run it again to go ` +
          `on from there`,
        undefined,
      );
    }
    return undefined;
  } finally {
    await content[Symbol.asyncDispose]();
  }
}

/** Whether the answer has something to append: the rest of the file, or all of it, which replaces what is here. */
async function goesOn(
  file: HubFile,
  { response }: HubContent,
  output: PartialFile,
): Promise<boolean> {
  const range = response.headers.get("content-range") ?? "";
  if (response.status === 416 && range === `bytes */${output.sizeBytes}`) return false;
  if (response.status === 206 && range.startsWith(`bytes ${output.sizeBytes}-`)) return true;
  await output.clear();
  if (response.status === 200) return true;
  throw new PassingHttpError(
    `${cannotDownload(file)}: the answer is ${response.status} with Content-Range ${
      quote(range)
    }. Try again later`,
    response.status,
  );
}
