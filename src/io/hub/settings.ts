/** Where the hub is, where its files are kept, and who asks: the environment that the Python library reads, too. */

/** What the environment says about the hub. */
export interface HubSettings {
  /** The hub's address, without a slash at the end. */
  readonly endpoint: string;
  /** The folder that holds every repository's files. */
  readonly cache: string;
  /** Who asks; undefined asks as nobody. */
  readonly token: string | undefined;
  /** Whether the network is left alone: then only what is in the cache is there. */
  readonly offline: boolean;
}

/** The hub that is meant where nothing names another. */
export const HUB_ENDPOINT = "https://huggingface.co";

/** The variables that are read, in the form that `--allow-env` takes. */
export const HUB_VARIABLES = "HOME,USERPROFILE,XDG_CACHE_HOME,HF_*,HUGGING*";

/**
 * Reads the settings.
 *
 * - the cache: HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE), else `hub` in HF_HOME, else in XDG_CACHE_HOME/huggingface,
 *   else in ~/.cache/huggingface;
 * - the token: HF_TOKEN (or HUGGING_FACE_HUB_TOKEN), else the file HF_TOKEN_PATH, else `token` in HF_HOME;
 * - the address: HF_ENDPOINT, else https://huggingface.co;
 * - no network: HF_HUB_OFFLINE is 1, true, yes or on.
 *
 * @param variable Reads one variable; undefined or "" where it is not set.
 * @throws {TypeError} If HF_ENDPOINT is no http(s) URL, or no variable tells where the cache is.
 */
export async function readHubSettings(
  variable: (name: string) => Promise<string | undefined> = readVariable,
): Promise<HubSettings> {
  const first = async (...names: string[]): Promise<string | undefined> => {
    for (const name of names) {
      const value = await variable(name);
      if (value !== undefined && value !== "") return value;
    }
    return undefined;
  };
  const user = await first("HOME", "USERPROFILE");
  const expand = (path: string) => user === undefined ? path : path.replace(/^~(?=$|[/\\])/, user);
  const caches = await first("XDG_CACHE_HOME") ?? (user === undefined ? undefined : "~/.cache");
  const home = await first("HF_HOME") ??
    (caches === undefined ? undefined : `${caches}/huggingface`);
  const cache = await first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ??
    (home === undefined ? undefined : `${home}/hub`);
  if (cache === undefined) {
    throw new TypeError(
      `Cannot find a folder for downloads: none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME is set, or may be ` +
        `read. Run with --allow-env=${HUB_VARIABLES}, or set HF_HOME`,
    );
  }
  const tokenPath = await first("HF_TOKEN_PATH") ??
    (home === undefined ? undefined : `${home}/token`);
  const token = await first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") ??
    (tokenPath === undefined ? undefined : await readToken(expand(tokenPath)));
  return {
    endpoint: checkEndpoint(await first("HF_ENDPOINT") ?? HUB_ENDPOINT),
    cache: expand(cache).replace(/(.)[/\\]+$/, "$1"),
    token: token?.trim() === "" ? undefined : token?.trim(),
    offline: /^(1|true|yes|on)$/i.test(await first("HF_HUB_OFFLINE") ?? ""),
  };
}

/** A variable that may not be read counts as not set: nobody who runs without `--allow-env` is asked ten times. */
async function readVariable(name: string): Promise<string | undefined> {
  const { state } = await Deno.permissions.query({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    // Most models are public: no file, or none that may be read, is no token.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return undefined;
    }
    throw error;
  }
}

function checkEndpoint(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(
      `Cannot use HF_ENDPOINT: it is "${endpoint}", and it must be an http(s) URL such as ` +
        HUB_ENDPOINT,
    );
  }
  return endpoint.replace(/\/+$/, "");
}
