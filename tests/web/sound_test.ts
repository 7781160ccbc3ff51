import { assertEquals, assertGreaterOrEqual, assertMatch } from "@std/assert";
import type { Page } from "npm:playwright-core@1.64.1";
import { pageTest, textLike, type WithPageOptions } from "./with_page.ts";

/** The ten digits of the test set, spoken one after the other: the browser's microphone plays them again and again. */
const DIGITS = new URL("../../weights/spoken-digits/digits.wav", import.meta.url).pathname;

const SPEAKING: WithPageOptions = {
  browserArgs: [
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${DIGITS}`,
  ],
  permissions: ["microphone"],
};

/** What a page holds of the microphone: tracks that are live, and contexts that are not closed. */
interface Held {
  readonly tracks: number;
  readonly contexts: number;
}

/** Lets a test see what the page opens; with a rate, its thread of sound has that one. */
async function watch(page: Page, sampleRate?: number): Promise<void> {
  await page.addInitScript((sampleRate) => {
    const tracks: MediaStreamTrack[] = [], contexts: AudioContext[] = [];
    const { mediaDevices } = navigator;
    const ask = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (constraints) => {
      const stream = await ask(constraints);
      tracks.push(...stream.getTracks());
      return stream;
    };
    globalThis.AudioContext = class extends AudioContext {
      constructor() {
        super(sampleRate === undefined ? {} : { sampleRate });
        contexts.push(this);
      }
    };
    Object.assign(globalThis, {
      tracks,
      held: () => ({
        tracks: tracks.filter(({ readyState }) => readyState === "live").length,
        contexts: contexts.filter(({ state }) => state !== "closed").length,
      }),
    });
  }, sampleRate);
}

async function held(page: Page): Promise<Held> {
  return await page.evaluate("held()");
}

const NOTHING: Held = { tracks: 0, contexts: 0 };

for (const sampleRate of [undefined, 44100]) {
  const rate = sampleRate === undefined
    ? "the machine's own rate"
    : `${sampleRate} samples a second`;
  pageTest(`the page names spoken digits as they come at ${rate}, and stops`, async (
    { page, reload },
  ) => {
    await watch(page, sampleRate);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await reload();
    await textLike(page, "#digit-verdict", /Pixel 784 of 784/);
    assertEquals(asked.filter((url) => /spoken|microphone|hear/.test(url)), []);
    assertEquals(await held(page), NOTHING);

    await page.click("#sound-listen");
    const status = await textLike(page, "#sound-status", /^Listening, /);
    if (sampleRate !== undefined) assertMatch(status, new RegExp(sampleRate.toLocaleString("en")));
    assertEquals(await held(page), { tracks: 1, contexts: 1 });
    const digits = page.locator("#sound-heard b");
    // It begins anywhere: ten in a row are in their order, and silence between them is none.
    await digits.nth(10).waitFor();
    const heard = (await digits.allInnerTexts()).slice(1, 11).map(Number);
    assertEquals(heard, heard.map((_, i) => ((heard[0] ?? 0) + i) % 10));
    const named = await page.innerText("#sound-status");
    const [, latency] = /^\d, \d+\.\d s from the start, named (\d+) ms after/.exec(named) ?? [];
    // The silence by which its end is told is 13 steps.
    assertGreaterOrEqual(Number(latency), 208);

    await page.click("#sound-stop");
    await textLike(page, "#sound-status", /^Stopped: the microphone is off\.$/);
    assertEquals(await held(page), NOTHING);
    assertEquals(await page.isEnabled("#sound-listen"), true);
    const count = await digits.count();

    // Again, until somebody pulls the plug.
    await page.click("#sound-listen");
    await digits.nth(count).waitFor();
    await page.evaluate("tracks.at(-1).onended()");
    await textLike(page, "#sound-status", /^Stopped: the microphone was taken away\.$/);
    assertEquals(await held(page), NOTHING);
  }, SPEAKING);
}

pageTest(
  "the page goes on listening where another executor is chosen",
  async ({ page, reload }) => {
    await watch(page);
    await reload();
    await page.click("#sound-listen");
    await page.locator("#sound-heard b").first().waitFor();
    await page.getByRole("radio", { name: "WebGPU" }).check();
    await textLike(page, "#executor-status", /^WebGPU: .*spoken-digits/);
    await textLike(page, "#sound-status", /^Listening, |^\d, /);
    assertEquals(await held(page), { tracks: 1, contexts: 1 });
    await page.click("#sound-stop");
    await textLike(page, "#sound-status", /^Stopped: the microphone is off\.$/);
    assertEquals(await held(page), NOTHING);
  },
  SPEAKING,
);

const REFUSALS: Readonly<Record<string, readonly [RegExp, WithPageOptions]>> = {
  "is not allowed": [
    /^Cannot listen: the microphone was not allowed\. Allow it in the browser's settings of this page$/,
    { ...SPEAKING, permissions: [] },
  ],
  "is not there": [/^Cannot listen: there is no microphone$/, { permissions: ["microphone"] }],
};

for (const [what, [line, options]] of Object.entries(REFUSALS)) {
  pageTest(`the page says in one line that a microphone ${what}`, async ({ page, reload }) => {
    await watch(page);
    await reload();
    await page.click("#sound-listen");
    await textLike(page, "#sound-status", line);
    assertEquals(await held(page), NOTHING);
    assertEquals(await page.isEnabled("#sound-listen"), true);
    assertEquals(await page.isEnabled("#sound-stop"), false);
  }, options);
}
