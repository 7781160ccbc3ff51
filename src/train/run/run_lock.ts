/** One run at a time in a folder: the system's lock on a file, which ends with the process that holds it. */

import { RUN_FILES } from "./run_files.ts";

/**
 * Takes the folder for a run. A lock that a dead process left holds nobody up: the system gave it back.
 *
 * @param folder The run's folder; it is made if need be.
 * @returns What gives it back, and removes what was made for it as long as nothing else lies there.
 * @throws {Error} If another run holds it, in this process or another.
 */
export async function lockFolder(folder: string): Promise<Disposable> {
  const path = `${folder}/${RUN_FILES.lock}`;
  const inner = path.slice(0, path.lastIndexOf("/"));
  const isNew = !await exists(folder);
  for (;;) {
    await Deno.mkdir(inner, { recursive: true });
    const file = await open(path);
    if (file === undefined) continue;
    let isHeld = false;
    try {
      if (!await tryLock(file, folder)) {
        throw new Error(
          `Cannot train into "${folder}": ${await ownerOf(path)} is training into it. ` +
            "Wait for its end, stop it, or give another folder",
        );
      }
      isHeld = await isSameFile(file, path);
      if (isHeld) await writeOwner(file);
    } catch (error) {
      file.close();
      throw error;
    }
    if (isHeld) return { [Symbol.dispose]: () => release(file, path, isNew ? folder : undefined) };
    // The run before removed the file between our opening and locking it: others lock another one.
    file.close();
  }
}

function release(file: Deno.FsFile, path: string, folder: string | undefined): void {
  const inner = path.slice(0, path.lastIndexOf("/"));
  removeIfPossible(path);
  file.close();
  // Folders that hold something stay: the system refuses to remove them.
  removeIfPossible(inner);
  if (folder !== undefined) removeIfPossible(folder);
}

/** What cannot be removed harms nobody: a lock's file means nothing without a process that holds it. */
function removeIfPossible(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Opens the lock's file; undefined where a run that ends has just removed its folder. */
async function open(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { create: true, read: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function tryLock(file: Deno.FsFile, folder: string): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `Cannot train into "${folder}": its files cannot be locked: ${detail}. ` +
        "Give a folder on a disk that has file locks",
      { cause },
    );
  }
}

/** Whether a path still leads to an open file. */
async function isSameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  const own = await file.stat();
  const found = await Deno.stat(path).catch(() => undefined);
  return found !== undefined && found.ino === own.ino && found.dev === own.dev;
}

async function writeOwner(file: Deno.FsFile): Promise<void> {
  const since = new Date().toISOString().replace("T", " ").replace(/\..*/, " UTC");
  await file.truncate();
  await file.seek(0, Deno.SeekMode.Start);
  await file.write(new TextEncoder().encode(`process ${Deno.pid}, since ${since},`));
}

/** Who holds a lock, in words. Where the system lets nobody read a locked file, that stays unknown. */
async function ownerOf(path: string): Promise<string> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text === "" ? "another process" : text;
}
