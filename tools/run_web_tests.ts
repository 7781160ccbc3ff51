/** `deno task test:web`: makes sure of a browser, then runs the tests of the page in it. Arguments go to `deno test`. */

import { answerHelp } from "./help.ts";

const ROOT = new URL("..", import.meta.url);

answerHelp(import.meta.url);
for (
  const args of [
    ["run", "-A", "tools/ensure_browser.ts"],
    ["test", "-A", "tests/web", ...Deno.args],
  ]
) {
  const command = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdin: "null" });
  const { code } = await command.spawn().status;
  if (code !== 0) Deno.exit(code);
}
