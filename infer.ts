/** The inference command: see `deno run --allow-read infer.ts --help`. */

import { infer } from "./src/cli/infer/infer.ts";

if (import.meta.main) Deno.exit(await infer(Deno.args));
