/** Where a model's files are: a folder, a web server, or a hub. */

import type { ByteSource } from "./byte_source.ts";
import { HAS_FILES, NotFound } from "./file_access.ts";
import { openFile } from "./file_source.ts";
import { HttpError, openUrl, type OpenUrlOptions } from "./http/source.ts";
import type { DownloadProgress, HubOptions } from "./hub/client.ts";
import { type HubId, parseHubId } from "./hub/id.ts";
import { HubModel } from "./hub/model.ts";
import { readHubSettings } from "./hub/settings.ts";
import { HAS_NODE_FILES, nodeEntry, openNodeFile } from "./node_files.ts";
import { quote } from "./quote.ts";
import { linkLoop } from "./regular_file.ts";

/** A place that has files by plain names. */
export interface Folder {
  readonly name: string;
  /** Opens a file, or gives undefined if there is none of that name. */
  open(file: string): Promise<ByteSource | undefined>;
}

/** How servers are reached, and who is told. */
export interface LocateOptions extends OpenUrlOptions {
  /** Is told how far a download from a hub has come. */
  onDownload?: (progress: DownloadProgress) => void;
}

/**
 * Finds what a location means.
 *
 * @param location A path, a `file:`, `http:` or `https:` URL, or "owner/name" on a hub; in a page no path.
 * @param options See {@linkcode LocateOptions}.
 * @returns The folder, and the file in it that was named, if one was.
 * @throws {Deno.errors.NotFound} If there is no such folder, and the name cannot be a hub's.
 * @throws {TypeError} If the protocol is another, or it is a path and this is a page.
 */
export async function locate(
  location: string | URL,
  options: LocateOptions,
): Promise<{ folder: Folder; file: string | undefined }> {
  const url = location instanceof URL || /^(https?|file):\/\//i.test(location)
    ? new URL(location)
    : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) {
    // On the web nothing tells a folder from a file but its name.
    const [file] = /[^/]+\.(safetensors|bin|pth|pt|index\.json)$/i.exec(url.pathname) ?? [];
    const base = new URL(url);
    base.pathname = file === undefined
      ? url.pathname.replace(/\/?$/, "/")
      : url.pathname.slice(0, -file.length);
    return {
      folder: webFolder(base, options),
      file: file === undefined ? undefined : decodeURIComponent(file),
    };
  }
  if (url !== undefined && url.protocol !== "file:") {
    throw new TypeError(
      `Cannot load ${quote(url.href)}: the protocol is ${quote(url.protocol)}, expected file:, ` +
        `http: or https:`,
    );
  }
  if (HAS_FILES) return await locateLocal(url ?? location, options);
  const entry = await nodeEntry(url ?? location);
  if (entry !== undefined) {
    return splitLocal(url ?? location, entry.kind === "folder", openNodeFile);
  }
  const hubId = parseHubId(String(location));
  if (hubId !== undefined) {
    return { folder: new HubModel(hubId, undefined, hubOptions(options)), file: undefined };
  }
  throw new TypeError(
    `Cannot load ${quote(String(location))}: ${
      HAS_NODE_FILES ? "there is no such folder" : "a page reads no folders"
    }, expected an ` +
      `http(s) URL or a hub's owner/name`,
  );
}

async function locateLocal(
  location: string | URL,
  options: LocateOptions,
): Promise<{ folder: Folder; file: string | undefined }> {
  let isDirectory: boolean;
  try {
    isDirectory = (await Deno.stat(location)).isDirectory;
  } catch (error) {
    const hubId = typeof location === "string" ? parseHubId(location) : undefined;
    // Without leave to look, a name that can be a hub's is one.
    if (error instanceof Deno.errors.FilesystemLoop) {
      throw linkLoop(String(location), "load", error);
    }
    const isElsewhere = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotCapable;
    if (hubId !== undefined && isElsewhere) {
      const folder = await hubFolder(hubId, options).catch((cause) => {
        throw error instanceof Deno.errors.NotFound ? cause : mayNotLook(location, cause);
      });
      return { folder, file: undefined };
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `Cannot load ${
        quote(String(location))
      }: there is no such folder or file, and a model on a hub is named ` +
        `owner/name or owner/name@revision`,
      { cause: error },
    );
  }
  return splitLocal(location, isDirectory, openIfThere);
}

/** Opens a file; undefined where there is none. */
type OpenLocal = (path: string | URL) => Promise<ByteSource | undefined>;

async function openIfThere(path: string | URL): Promise<ByteSource | undefined> {
  try {
    return await openFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The folder that a local path means, and the file in it. */
function splitLocal(
  location: string | URL,
  isDirectory: boolean,
  open: OpenLocal,
): { folder: Folder; file: string | undefined } {
  if (isDirectory) return { folder: folderOf(location, String(location), open), file: undefined };
  if (location instanceof URL) {
    const folder = new URL(".", location);
    const file = decodeURIComponent(location.pathname.slice(folder.pathname.length));
    return { folder: folderOf(folder, String(folder), open), file };
  }
  const [, folder, file] = /^(.*[/\\])?([^/\\]+)$/.exec(location) ?? [];
  return { folder: folderOf(folder ?? ".", folder ?? ".", open), file: file ?? location };
}

/** Neither a folder may be looked for nor a hub be asked: most likely it was a folder. */
function mayNotLook(location: string | URL, cause: unknown): Error {
  const found = cause instanceof Error ? cause.message : String(cause);
  return new Deno.errors.NotCapable(
    `Cannot read ${quote(String(location))}: run again with --allow-read if it is a folder. ` +
      `As a model of the hub: ${found}`,
    { cause },
  );
}

function folderOf(location: string | URL, name: string, open: OpenLocal): Folder {
  const join = (file: string): string | URL => {
    if (typeof location === "string") return `${location.replace(/(.)[/\\]+$/, "$1")}/${file}`;
    const base = new URL(location);
    base.pathname = base.pathname.replace(/\/?$/, "/") + encodeURIComponent(file);
    return base;
  };
  return { name, open: (file) => open(join(file)) };
}

function webFolder(base: URL, options: OpenUrlOptions): Folder {
  return {
    name: base.origin + base.pathname,
    async open(file) {
      // The query stays: it may be what the server lets us in by.
      const url = new URL(base);
      url.pathname += encodeURIComponent(file);
      try {
        return await openUrl(url, options);
      } catch (error) {
        if (error instanceof HttpError && error.status === 404) return undefined;
        throw error;
      }
    },
  };
}

async function hubFolder(id: HubId, options: LocateOptions): Promise<Folder> {
  const model = new HubModel(id, await readHubSettings(), hubOptions(options));
  return {
    name: model.name,
    async open(file) {
      try {
        return await model.open(file);
      } catch (error) {
        throw isUnknown(error) ? alsoNoFolder(error, id) : error;
      }
    },
  };
}

function hubOptions({ fetch, signal, onDownload }: LocateOptions): HubOptions {
  return { fetch, signal, onProgress: onDownload };
}

/** Whether the hub knows nothing of this name, or nobody does: then it may have been meant as a path. */
function isUnknown(error: unknown): error is Error {
  return error instanceof NotFound ||
    error instanceof HttpError && [undefined, 401, 404].includes(error.status);
}

/** What is not here may have been meant as a path: that comes before what the hub says. */
function alsoNoFolder(error: Error, { repository }: HubId): Error {
  const message = `Cannot load ${
    quote(repository)
  }: there is no such folder. As a model of the hub: ${error.message}`;
  return error instanceof HttpError
    ? new HttpError(message, error.status, { cause: error })
    : new NotFound(message, { cause: error });
}
