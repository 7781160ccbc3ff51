// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Makes sure that this machine has Chromium, before tests that need a browser.
 *
 *     deno run -A tools/ensure_browser.ts
 *
 * Names it on stderr and exits 0. Where there is none: on Debian and Ubuntu as root, installs it. Elsewhere, says what to
 * install and exits 1.
 */

import { answerHelp } from "./help.ts";
import { canInstall, installPackages } from "./install_packages.ts";

/** What Debian and others call it. */
const COMMANDS = ["chromium", "chromium-browser", "google-chrome"];

const PACKAGE = "chromium";

/** The browser's command, with its path; undefined where there is none. */
export function findBrowser(): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return COMMANDS.flatMap((command) => folders.map((folder) => `${folder}/${command}`)).find(
    isFile,
  );
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  if (findBrowser() === undefined && canInstall()) {
    console.error("No Chromium here: installing it");
    await installPackages([PACKAGE]);
  }
  const found = findBrowser();
  if (found === undefined) {
    console.error(
      `Cannot find a browser: there is no ${COMMANDS.join(", ")} on PATH. On Debian or Ubuntu: ` +
        `apt-get install ${PACKAGE}`,
    );
    Deno.exit(1);
  }
  console.error(`Browser: ${found}`);
}
