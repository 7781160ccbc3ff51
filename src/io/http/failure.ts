/** Why a request failed, in words: what `fetch` throws says it in its causes, around the address. */

/** Reasons that have plainer words than the system's. */
const PLAINER: readonly (readonly [RegExp, string])[] = [
  [/^dns error/, "the host's name was not found"],
  [/connection refused|os error (?:111|61|10061)\b/i, "the connection was refused"],
  [/connection reset|os error (?:104|54|10054)\b/i, "the connection was reset"],
  [/network is unreachable|no route to host/i, "there is no network to reach the host by"],
  [
    /connection closed before message completed/,
    "the server closed the connection without an answer",
  ],
];

/**
 * The innermost reason, without the address: it may be signed.
 *
 * @param error What a request threw.
 * @returns Words to go after a colon.
 */
export function describeFailure(error: unknown): string {
  const found = innermost(error);
  return PLAINER.find(([pattern]) => pattern.test(found))?.[1] ?? found;
}

/** Whether a request failed because nobody knows the host's name: asking again at once will not help. */
export function isUnknownHost(error: unknown): boolean {
  return /^dns error/.test(innermost(error));
}

function innermost(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return innermost(error.cause);
  return error.message.replaceAll(/\s*\n\s*/g, " ").replace(/\.\s*$/, "")
    .replace(/^error sending request (?:from \S+ )?for (?:url )?\S+(?: \([^)]*\))?:? ?/, "")
    .replace(/^client error \(\w+\): /, "")
    .replace(/ for url \([^)]*\)/, "") || error.message;
}
