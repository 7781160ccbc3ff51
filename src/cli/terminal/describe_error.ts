/** An error as the last line of a command. */

import { UsageError } from "./arguments.ts";

/** One line, and no stack: what failed is in the message. `action` is what was being done, such as "run score". */
export function describeError(error: unknown, action: string): string {
  const message = (error instanceof Error ? error.message : String(error))
    .replaceAll(/\s*\n\s*/g, " ");
  // The system's own errors name the file, but not what was being done.
  const line = message.startsWith("Cannot ") ? message : `Cannot ${action}: ${message}`;
  if (!(error instanceof UsageError)) return line;
  return `${line}${line.endsWith("?") ? "" : "."} See --help`;
}
