/** One writer at a time, among processes: the system's own file locks, which end with the process that holds them. */

/** How often a lock that another process holds is asked for. */
const POLL_MS = 100;

/** Settings of {@linkcode lockFile}. */
export interface LockOptions {
  /** Ends the wait, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Is told each time that another process was found to hold the lock. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Waits until nobody else holds the lock, and takes it.
 *
 * The file stays when the lock is given back, as the Python library leaves it: to remove it would give those who wait
 * and those who come next two different files to lock. It is empty, and means nothing without a process that holds it,
 * so that a process that was killed leaves nothing to wait for.
 *
 * @param path The file to lock; it and its folder are made if need be.
 * @param options See {@linkcode LockOptions}.
 * @returns What gives the lock back.
 */
export async function lockFile(path: string, options: LockOptions = {}): Promise<Disposable> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const file = await Deno.open(path, { create: true, read: true, write: true });
  try {
    while (!await tryLock(file, path)) {
      options.onWait?.();
      options.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } catch (error) {
    file.close();
    throw error;
  }
  return { [Symbol.dispose]: () => file.close() };
}

async function tryLock(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `Cannot lock "${path}": ${detail}. Set HF_HUB_CACHE to a folder on a disk that has file locks`,
      { cause },
    );
  }
}
