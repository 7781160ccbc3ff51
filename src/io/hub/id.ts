/** Names of models on a hub. */

/** A repository and what is wanted of it. */
export interface HubId {
  /** Owner and name, such as "state-spaces/mamba-130m-hf". */
  readonly repository: string;
  /** A branch, a tag, a commit, or a ref such as "refs/pr/1"; undefined where the caller named none. */
  readonly revision: string | undefined;
}

/** What the hub allows: letters, digits, "-", "_" and "."; nothing begins or ends with "-" or ".". */
const NAME = /^(?![-.])(?!.*(--|\.\.))[\w.-]{1,96}(?<![-.])$/;

/** A branch may hold slashes. Nothing may lead out of the folder that is named for it. */
const REVISION = /^(?![-./])(?!.*(\.\.|\/\/|\/\.))[\w./+-]{1,255}(?<![./])$/;

/**
 * Reads "owner/name" or "owner/name@revision".
 *
 * @param text What somebody typed: it may be a path or a URL as well.
 * @returns The parts, or undefined if it cannot be the name of a model on a hub.
 */
export function parseHubId(text: string): HubId | undefined {
  const at = text.indexOf("@");
  const repository = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? undefined : text.slice(at + 1);
  const names = repository.split("/");
  if (names.length !== 2 || !names.every((name) => NAME.test(name))) return undefined;
  if (revision !== undefined && !REVISION.test(revision)) return undefined;
  return { repository, revision };
}

/** Whether a revision is a commit, whose content never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
