/** How long a name of a file's own may be in a message before it is cut. */
const MAX_QUOTED_LENGTH = 120;

/**
 * A name in double quotes, fit for a one-line message.
 *
 * Names come out of files that may be hostile: control characters are escaped, and a name of a
 * megabyte is cut.
 *
 * @param name Any text.
 * @returns The quoted text, at most about 120 characters of it.
 */
export function quote(name: string): string {
  if (name.length <= MAX_QUOTED_LENGTH) return JSON.stringify(name);
  return `${JSON.stringify(name.slice(0, MAX_QUOTED_LENGTH))}... (${name.length} characters)`;
}
