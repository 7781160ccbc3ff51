/** Fetches one file of a repository: ENDPOINT CACHE REPOSITORY FILE; prints its path. */

import { HubRepository } from "../../../src/io/hub/repository.ts";

const [endpoint = "", cache = "", name = "", file = ""] = Deno.args;
const settings = { endpoint, cache, token: undefined, offline: false };
const path = await new HubRepository(name, "main", settings).fetch(file);
Deno.stdout.writeSync(new TextEncoder().encode(`${path}\n`));
