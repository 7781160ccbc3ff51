/** One repository of a hub at one revision, as a folder whose files come when they are asked for. */

import type { ByteSource } from "../byte_source.ts";
import { openFile } from "../file_source.ts";
import { lockFile } from "./file_lock.ts";
import { HttpError, UnknownHostError } from "../http/requests.ts";
import { HubCache } from "./cache.ts";
import { type AbsentFile, type FileFacts, HubClient, type HubOptions } from "./client.ts";
import { describeWait, downloadContent } from "./download.ts";
import type { HubFiles } from "./files.ts";
import { isCommit } from "./id.ts";
import type { HubSettings } from "./settings.ts";
import { quote } from "../quote.ts";
import { PassingHttpError, retry } from "../http/retry.ts";

/** A file of the repository: in the cache, to be downloaded, or neither, where there is none. */
interface Located {
  readonly file: string;
  readonly path?: string;
  readonly facts?: FileFacts;
}

/** All files come from one commit: the one that the revision means when the first is asked for. */
export class HubRepository implements HubFiles {
  readonly #repository: string;
  readonly #revision: string;
  readonly #settings: HubSettings;
  readonly #options: HubOptions;
  readonly #cache: HubCache;
  readonly #client: HubClient;
  #commit: string | undefined;
  /** Whether the hub has said something of a file of this revision. */
  #isConfirmed = false;
  /** What the hub is asked for: the commit itself once the branch has moved on. */
  #asked: string;

  /** Names the repository; nothing is asked yet. */
  constructor(
    repository: string,
    revision: string,
    settings: HubSettings,
    options: HubOptions = {},
  ) {
    this.#repository = repository;
    this.#revision = this.#asked = revision;
    this.#settings = settings;
    this.#options = options;
    this.#cache = new HubCache(settings.cache, repository);
    this.#client = new HubClient(settings, options);
    this.#commit = isCommit(revision) ? revision : undefined;
  }

  /**
   * The path of a file in the cache, after a download if need be.
   *
   * @param file Its path in the repository.
   * @returns The path, or undefined if the commit has no such file, or the cache has none and the hub may not be asked.
   * @throws {HttpError} If the hub refuses, cannot be reached, or gives something wrong.
   * @throws {Deno.errors.NotFound} If the hub may not be asked, and the cache has nothing of this revision.
   */
  async fetch(file: string): Promise<string | undefined> {
    const [path] = await this.fetchAll([file]);
    return path;
  }

  /** The same for several files, one after the other, with progress over all of them; paths in the order asked for. */
  async fetchAll(files: readonly string[]): Promise<(string | undefined)[]> {
    const located: Located[] = [];
    for (const file of files) located.push(await this.#locate(file));
    const missing = located.map(({ facts }) => facts).filter((facts) => facts !== undefined);
    const totalBytes = missing.reduce<number | undefined>(
      (sum, { sizeBytes }) =>
        sum === undefined || sizeBytes === undefined ? undefined : sum + sizeBytes,
      0,
    );
    let before = 0;
    const paths: (string | undefined)[] = [];
    for (const { file, path, facts } of located) {
      if (facts === undefined) {
        paths.push(path);
        continue;
      }
      paths.push(
        await this.#download(file, facts, {
          ...this.#options,
          onProgress: (progress) =>
            this.#options.onProgress?.({
              ...progress,
              loadedBytes: before + progress.loadedBytes,
              totalBytes,
            }),
        }),
      );
      before += facts.sizeBytes ?? 0;
    }
    return paths;
  }

  /** Opens the file that {@linkcode HubRepository.fetch} gives the path of. */
  async open(file: string): Promise<ByteSource | undefined> {
    const path = await this.fetch(file);
    return path === undefined ? undefined : await openFile(path);
  }

  async #locate(file: string): Promise<Located> {
    const { offline, cache } = this.#settings;
    if (offline) this.#commit ??= await this.#cache.readRef(this.#revision);
    const known = await this.#findCached(this.#commit, file);
    if (known !== undefined) return known;
    if (offline && this.#commit === undefined) {
      throw new Deno.errors.NotFound(
        `Cannot load ${
          quote(`${this.#repository}@${this.#revision}`)
        }: HF_HUB_OFFLINE is set, and ${
          quote(cache)
        } has nothing of it. Unset HF_HUB_OFFLINE to download it`,
      );
    }
    if (offline) return { file };
    // A hub that cannot be reached does not matter where its last answer is still here.
    const lastCommit = this.#commit === undefined
      ? await this.#cache.readRef(this.#revision)
      : undefined;
    const last = await this.#findCached(lastCommit, file);
    let facts: FileFacts | AbsentFile;
    try {
      facts = await this.#describe(file, last === undefined ? undefined : 1);
    } catch (error) {
      const isUnreachable = error instanceof PassingHttpError || error instanceof UnknownHostError;
      if (last === undefined || !isUnreachable) throw error;
      this.#commit = lastCommit;
      return last;
    }
    return await this.#settle(file, facts);
  }

  /** Keeps what the hub said, and looks for the content once more: another revision may have brought it. */
  async #settle(file: string, facts: FileFacts | AbsentFile): Promise<Located> {
    this.#isConfirmed = true;
    if (this.#commit === undefined && facts.commit !== undefined) {
      this.#commit = facts.commit;
      await this.#cache.writeRef(this.#revision, facts.commit);
    }
    if (facts.hash !== undefined) {
      return await this.#findCached(facts.commit, file) ?? { file, facts };
    }
    if (this.#commit !== undefined) await this.#cache.markAbsent(this.#commit, file);
    return { file };
  }

  /** Undefined where the cache does not know. */
  async #findCached(commit: string | undefined, file: string): Promise<Located | undefined> {
    if (commit === undefined) return undefined;
    const path = await this.#cache.find(commit, file);
    if (path !== undefined) return { file, path };
    return await this.#cache.isAbsent(commit, file) ? { file } : undefined;
  }

  async #describe(file: string, attempts: number | undefined): Promise<FileFacts | AbsentFile> {
    const ask = async () => {
      try {
        return await this.#client.describe(this.#name(file));
      } catch (error) {
        // Repository and revision are known to be there: it is the file that is missing.
        const isMissing = error instanceof HttpError && error.status === 404;
        if (isMissing && this.#isConfirmed) return { commit: this.#commit };
        throw error;
      }
    };
    const facts = await this.#retry(file, ask, attempts);
    if (facts.commit === undefined || facts.commit === (this.#commit ?? facts.commit)) return facts;
    // The branch has moved since the first file: what goes with that one is still there by its commit.
    this.#asked = this.#commit ?? this.#asked;
    return await this.#retry(file, ask, attempts);
  }

  #retry<T>(file: string, ask: () => Promise<T>, attempts: number | undefined): Promise<T> {
    const { signal, retryWaitMs, onProgress } = this.#options;
    return retry(ask, {
      signal,
      attempts,
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

  #name(file: string) {
    return { repository: this.#repository, revision: this.#asked, file };
  }

  async #download(file: string, facts: FileFacts, options: HubOptions): Promise<string> {
    const { commit, hash, sizeBytes } = facts;
    const blob = this.#cache.blobPath(hash);
    const lock = await lockFile(this.#cache.lockPath(hash), {
      signal: options.signal,
      onWait: () =>
        options.onProgress?.({
          stage: "download",
          file,
          loadedBytes: sizeOf(`${blob}.incomplete`) ?? 0,
          totalBytes: sizeBytes,
          note: "another process downloads it",
        }),
    });
    try {
      // Who held the lock before may have done all of it.
      const path = await this.#cache.find(commit, file);
      if (path !== undefined) return path;
      const isNew = sizeOf(blob) === undefined || sizeOf(blob) !== (sizeBytes ?? sizeOf(blob));
      if (isNew) {
        await Deno.mkdir(blob.slice(0, blob.lastIndexOf("/")), { recursive: true });
        await downloadContent(this.#client, this.#name(file), facts, blob, options);
      }
      return await this.#cache.link(commit, file, hash, isNew);
    } finally {
      lock[Symbol.dispose]();
    }
  }
}

/** Undefined where there is no such file. */
function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
