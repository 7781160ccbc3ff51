/** The system's own errors name the temporary file that is written first, which nobody asked for. */

/** An error that names the file to be written, gives the system's reason, and keeps the cause. */
export function writeError(path: string, temporary: string, cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new Error(`Cannot write "${path}": ${message.replaceAll(temporary, path)}`, { cause });
}
