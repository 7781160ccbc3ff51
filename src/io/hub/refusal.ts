/** What a hub's refusals mean, and what to do next. */

import { HttpError } from "../http/requests.ts";
import type { HubFile } from "./client.ts";
import { HUB_ENDPOINT, type HubSettings } from "./settings.ts";
import { quote } from "../quote.ts";
import { PassingHttpError, requestedWaitMs } from "../http/retry.ts";

/** How each message about a file begins. */
export function cannotDownload({ repository, revision, file }: HubFile): string {
  return `Cannot download ${quote(file)} of ${quote(`${repository}@${revision}`)}`;
}

/**
 * The error for an answer that is not the file.
 *
 * @param file What was asked for.
 * @param response The answer; its body is not read.
 * @param isHub Whether the hub itself answered, and not storage that it redirects to.
 * @param settings Who asked where; undefined where a page did, which asks the one hub as nobody.
 */
export function hubRefusal(
  file: HubFile,
  response: Response,
  isHub: boolean,
  settings: HubSettings | undefined,
): HttpError {
  const { status, headers } = response;
  const answered = `${cannotDownload(file)}: ${isHub ? "the hub" : "its storage"} answered ` +
    `${status}${response.statusText === "" ? "" : ` ${response.statusText}`}`;
  // Addresses in storage are signed and expire: the hub gives a new one.
  if (!isHub || status === 408 || status === 429 || status >= 500) {
    const waitMs = requestedWaitMs(headers);
    const later = waitMs === undefined ? "" : ` in ${Math.ceil(waitMs / 1000)} s`;
    return new PassingHttpError(`${answered}. Try again${later || " later"}`, status, { waitMs });
  }
  if (settings === undefined) {
    const page = `${HUB_ENDPOINT}/${file.repository}`;
    const next = `. Check the name at ${page}: a page may read what everybody may`;
    return new HttpError(`${answered}${next}`, status);
  }
  const next = nextStep(file, status, headers.get("x-error-code"), settings);
  return new HttpError(`${answered}${next}`, status);
}

function nextStep(
  { repository, revision, file }: HubFile,
  status: number,
  code: string | null,
  { endpoint, token }: HubSettings,
): string {
  const page = `${endpoint}/${repository}`;
  const tokens = `${endpoint}/settings/tokens`;
  if (code === "GatedRepo") {
    return `: access must be asked for. Ask at ${page}` +
      (token === undefined ? `, and set HF_TOKEN to a token from ${tokens}` : "");
  }
  switch (status) {
    case 401:
      return token === undefined
        ? `: there is no such repository, or it is private. Check the name at ${page}, or set HF_TOKEN to a token ` +
          `from ${tokens}`
        : `: there is no such repository, or the token may not see it. Check the name at ${page}, and the token ` +
          `(HF_TOKEN, or the file that a login wrote) at ${tokens}`;
    case 403:
      return token === undefined
        ? `: it is not for everybody. Set HF_TOKEN to a token from ${tokens} that may read ${page}`
        : `: the token may not read it. Ask for access at ${page}, or set HF_TOKEN to a token from ${tokens} that may`;
    case 404:
      if (code === "RevisionNotFound") {
        return `: there is no revision ${
          quote(revision)
        }. See ${page}/tree/main for those there are`;
      }
      if (code === "RepoNotFound") {
        return `: there is no such repository. Check the name at ${page}`;
      }
      return `: the repository, the revision or the file ${
        quote(file)
      } is not there. Check the name at ${page}`;
    default:
      return "";
  }
}
