import { assertEquals } from "@std/assert";
import { drawImage } from "../../../src/cli/terminal/draw_image.ts";

/** 3 x 3: every pair of a pixel and the one below it that there is, dark or light. */
const IMAGE = {
  ...{ width: 3, height: 3, channels: 1 },
  pixels: Uint8Array.of(0, 255, 128, 200, 0, 255, 127, 255, 0),
};

Deno.test("drawImage() without colors puts two pixels into a character", () => {
  assertEquals(drawImage(IMAGE, 9, false), ["▄▀█", " ▀ "]);
});

Deno.test("drawImage() without colors leaves out what is not seen yet", () => {
  assertEquals(drawImage(IMAGE, 0, false), ["   ", "   "]);
  assertEquals(drawImage(IMAGE, 3, false), [" ▀▀", "   "]);
  assertEquals(drawImage(IMAGE, 4, false), ["▄▀▀", "   "]);
});

Deno.test("drawImage() draws shades of grey, a pixel above as the foreground, one below as the background", () => {
  const image = { width: 2, height: 2, channels: 1, pixels: Uint8Array.of(0, 128, 64, 255) };
  assertEquals(drawImage(image, 4, true), [
    "\x1b[0m\x1b[38;5;232m\x1b[48;5;238m▀\x1b[0m\x1b[38;5;244m\x1b[48;5;255m▀\x1b[0m",
  ]);
  assertEquals(drawImage(image, 1, true), ["\x1b[0m\x1b[38;5;232m▀\x1b[0m "]);
  assertEquals(drawImage(image, 3, true), [
    "\x1b[0m\x1b[38;5;232m\x1b[48;5;238m▀\x1b[0m\x1b[38;5;244m▀\x1b[0m",
  ]);
});

Deno.test("drawImage() writes colors only where they change", () => {
  const image = { width: 3, height: 1, channels: 1, pixels: new Uint8Array(3) };
  assertEquals(drawImage(image, 3, true), ["\x1b[0m\x1b[38;5;232m▀▀▀\x1b[0m"]);
  assertEquals(drawImage(image, 0, true), ["   "]);
});
