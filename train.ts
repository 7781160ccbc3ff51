/** The training command: see `deno task train --help`. */

import { trainCommand } from "./src/cli/train/train.ts";

if (import.meta.main) Deno.exit(await trainCommand(Deno.args));
