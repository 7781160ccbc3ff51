/**
 * The folder of one repository in the cache, laid out as the Python library lays it out, so that both share it:
 *
 *     models--OWNER--NAME/blobs/HASH                     what files hold
 *     models--OWNER--NAME/blobs/HASH.incomplete          what has come of one so far
 *     models--OWNER--NAME/snapshots/COMMIT/FILE          a link to a blob
 *     models--OWNER--NAME/refs/REVISION                  the commit that a branch or tag meant last
 *     models--OWNER--NAME/.no_exist/COMMIT/FILE          a mark: the commit has no such file
 *     .locks/models--OWNER--NAME/HASH.lock               locked by who writes the blob
 */

import { isCommit } from "./id.ts";

/** One repository's part of the cache. */
export class HubCache {
  readonly #folder: string;
  readonly #locks: string;

  /** Names the folders; nothing is made before something is written. */
  constructor(root: string, repository: string) {
    const name = `models--${repository.replaceAll("/", "--")}`;
    this.#folder = `${root}/${name}`;
    this.#locks = `${root}/.locks/${name}`;
  }

  /** Where a blob is, or will be. */
  blobPath(hash: string): string {
    return `${this.#folder}/blobs/${hash}`;
  }

  /** The file that is locked while a blob is written. */
  lockPath(hash: string): string {
    return `${this.#locks}/${hash}.lock`;
  }

  /** The commit that a revision meant when it was asked for last. */
  async readRef(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    try {
      const commit = (await Deno.readTextFile(`${this.#folder}/refs/${revision}`)).trim();
      return commit === "" ? undefined : commit;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Keeps what a revision means now, where the cache can be written to. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || await this.readRef(revision) === commit) return;
    await this.#note(`refs/${revision}`, commit);
  }

  /** The path of a file of a commit, if it is here. */
  async find(commit: string, file: string): Promise<string | undefined> {
    const path = this.#snapshotPath(commit, file);
    return await exists(path) ? path : undefined;
  }

  /** Whether it is known that a commit has no such file. */
  async isAbsent(commit: string, file: string): Promise<boolean> {
    return await exists(`${this.#folder}/.no_exist/${commit}/${file}`);
  }

  /** Keeps that a commit has no such file, where the cache can be written to. */
  async markAbsent(commit: string, file: string): Promise<void> {
    await this.#note(`.no_exist/${commit}/${file}`, "");
  }

  /**
   * Puts a blob into a commit.
   *
   * Where no link can be made (Deno makes them with unscoped permissions only, Windows for developers only) the file
   * itself is put there, as the Python library does.
   *
   * @param isNew Whether nothing else can link to the blob yet.
   * @returns The file's path.
   */
  async link(commit: string, file: string, hash: string, isNew: boolean): Promise<string> {
    const path = this.#snapshotPath(commit, file);
    const depth = file.split("/").length + 1;
    await Deno.mkdir(parent(path), { recursive: true });
    // A link to a blob that somebody deleted would be in the way.
    await Deno.remove(path).catch(() => {});
    try {
      await Deno.symlink(`${"../".repeat(depth)}blobs/${hash}`, path);
    } catch {
      const source = isNew ? this.blobPath(hash) : `${path}.incomplete`;
      if (!isNew) await Deno.copyFile(this.blobPath(hash), source);
      await Deno.rename(source, path);
    }
    return path;
  }

  /** Only spares questions: a cache that many share and few may write to is as good. */
  async #note(name: string, text: string): Promise<void> {
    const path = `${this.#folder}/${name}`;
    try {
      await Deno.mkdir(parent(path), { recursive: true });
      await Deno.writeTextFile(path, text);
    } catch (error) {
      if (!isReadOnly(error)) throw error;
    }
  }

  #snapshotPath(commit: string, file: string): string {
    return `${this.#folder}/snapshots/${commit}/${file}`;
  }
}

/** Follows links: one that leads nowhere is nothing. */
async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isReadOnly(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotCapable ||
    error instanceof Error && "code" in error && error.code === "EROFS";
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
