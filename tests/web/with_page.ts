/** The page in a real browser: built, served on this machine, and watched. */

import { assertEquals } from "@std/assert";
import { chromium, type Page } from "npm:playwright-core@1.64.1";
import { buildWeb } from "../../tools/build_web.ts";
import { findBrowser } from "../../tools/ensure_browser.ts";
import { folderHandler } from "../../tools/serve_folder.ts";

/** A page that is open. */
export interface OpenPage {
  readonly page: Page;
  /** Where it is. */
  readonly url: string;
  /** The folder that it is served from. */
  readonly folder: string;
  /** Bytes of all files that the page was sent so far. */
  readonly sentBytes: () => number;
  /** Opens the same page anew. */
  readonly reload: () => Promise<void>;
}

/** How it is served. */
export interface WithPageOptions {
  /** Whether the server isolates it; with that, the CPU has threads. @default {true} */
  readonly isolated?: boolean;
  /** The path that it is served under. @default {"/"} */
  readonly base?: string;
  /** Whether the page may ask others than its own server. @default {false} */
  readonly asksOthers?: boolean;
  /** What the browser itself may say of answers that the test makes wrong. */
  readonly mayFail?: RegExp;
  /** What the browser is told beside what all are, such as what its microphone hears. */
  readonly browserArgs?: readonly string[];
  /** All that the page may use of the machine; where nothing is said, the browser decides. */
  readonly permissions?: readonly string[];
}

/** A software adapter, in a browser that is not asked for its sandbox: tests may run as root. */
const BROWSER_ARGS = [
  "--no-sandbox",
  "--use-webgpu-adapter=swiftshader",
  "--enable-unsafe-webgpu",
];

/** For what a loaded machine with a software adapter takes at most. */
const TIMEOUT_MS = 150_000;

let built: Promise<string> | undefined;

/** Builds the page once for all tests of a process. */
async function builtPage(): Promise<string> {
  built ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "slither_page_" });
    await buildWeb(folder);
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    return folder;
  })();
  return await built;
}

/** A test whose page has nothing to say on its console, and asks nobody else. */
export function pageTest(
  name: string,
  test: (open: OpenPage, t: Deno.TestContext) => Promise<void>,
  options: WithPageOptions = {},
): void {
  // A browser is another process, with connections that outlive a test by a moment.
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false }, async (t) => {
    await withPage((open) => test(open, t), options);
  });
}

async function withPage(
  test: (open: OpenPage) => Promise<void>,
  { isolated = true, base = "/", asksOthers = false, mayFail, browserArgs = [], permissions }:
    WithPageOptions,
): Promise<void> {
  const folder = await builtPage();
  const handler = folderHandler(folder, { isolated, base });
  let sentBytes = 0;
  await using server = Deno.serve(
    { port: 0, hostname: "localhost", onListen() {} },
    async (request) => {
      const response = await handler(request);
      const body = await response.bytes();
      sentBytes += body.length;
      return new Response(body, response);
    },
  );
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    throw new Error("Cannot test the page: there is no browser. Run tools/ensure_browser.ts");
  }
  const args = [...BROWSER_ARGS, ...browserArgs];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const context = await browser.newContext({ acceptDownloads: true });
    if (permissions !== undefined) await context.grantPermissions([...permissions]);
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const found: string[] = [];
    page.on("console", (message) => {
      const text = message.text();
      if (mayFail?.test(text)) return;
      if (["error", "warning"].includes(message.type())) found.push(text);
    });
    page.on("pageerror", (error) => found.push(String(error)));
    const origin = `http://localhost:${server.addr.port}`;
    context.on("request", (request) => {
      const url = new URL(request.url());
      const isOther = /^https?:$/.test(url.protocol) && url.origin !== origin;
      if (isOther && !asksOthers) found.push(url.href);
    });
    const url = origin + base;
    const reload = async () => void await page.goto(url);
    await reload();
    await test({ page, url, folder, sentBytes: () => sentBytes, reload });
    assertEquals(found, []);
  } finally {
    await browser.close();
  }
}

/** Waits until an element's text is as it should be, and gives it. */
export async function textLike(page: Page, selector: string, pattern: RegExp): Promise<string> {
  const element = page.locator(selector);
  await element.filter({ hasText: pattern }).first().waitFor();
  return await element.first().innerText();
}
