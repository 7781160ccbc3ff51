// deno-lint-ignore-file no-control-regex -- how files begin is bytes, of any value.
/** Files that are something else than their names say: told by how they begin, so that messages can name them. */

/** Bytes that are enough to tell. */
export const TOLD_BY_BYTES = 512;
/** Fewer bytes are what is left of something else. */
const SHORTEST_TEXT = 8;

/** How a file of another kind begins, what it is, and what to do. */
const FORMS: readonly (readonly [RegExp, string])[] = [
  [
    /^version https:\/\/git-lfs\.github\.com\/spec\//,
    "it is a Git LFS pointer, which stands for the file: get the file itself with git lfs pull",
  ],
  [
    /^[^\n]{0,200}\bannex\/objects\//,
    "it is a git-annex pointer, which stands for the file: get the file itself with git annex get",
  ],
  [/^GGUF/, "it is GGUF, llama.cpp's format, which is not read: get the model's safetensors"],
  [/^(?:lmgg|fmgg|tjgg|algg)/, "it is GGML, an old format of llama.cpp, which is not read"],
  [/^\x1f\x8b/, "it is packed with gzip: unpack it first"],
  [/^\xfd7zXZ\0/, "it is packed with xz: unpack it first"],
  [/^BZh[1-9]1AY&SY/, "it is packed with bzip2: unpack it first"],
  [/^\x28\xb5\x2f\xfd/, "it is packed with zstd: unpack it first"],
  [/^7z\xbc\xaf\x27\x1c/, "it is a 7z archive: unpack it first"],
  [/^Rar!\x1a\x07/, "it is a RAR archive: unpack it first"],
  [/^[^]{257}ustar/, "it is a tar archive: unpack it first"],
  [/^\x89HDF\r\n\x1a\n/, "it is HDF5, which is not read"],
  [/^\x93NUMPY/, "it is a NumPy array, which is not read"],
  [/^\xff\xd8\xff/, "it is a JPEG image: write it as PNG, which is what is read of images"],
  [/^GIF8[79]a/, "it is a GIF image: write it as PNG, which is what is read of images"],
  [/^RIFF[^]{4}WEBP/, "it is a WebP image: write it as PNG, which is what is read of images"],
  [/^%PDF-/, "it is a PDF"],
];

/** The same of pages, which are texts as well. */
const PAGES: typeof FORMS = [
  [
    /^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*)?<(?:!doctype\s+html|html)\b/i,
    "it is a web page (HTML), so that the address of a page was downloaded, not that of the file: a hub has files under " +
    "/resolve/, and pages about them under /blob/",
  ],
  [/^<\?xml/, "it is XML, most likely what a server answered in place of the file"],
];

/**
 * Says what a file is that is not what it should be.
 *
 * @param bytes The file, or how it begins.
 * @param mayBePage Whether a page of the web may be meant, as where any text will do.
 * @returns What it is and what to do, to go after a colon; undefined where it is nothing that is known here.
 */
export function foreignForm(bytes: Uint8Array, mayBePage = false): string | undefined {
  const start = Array.from(bytes.subarray(0, TOLD_BY_BYTES), (byte) => String.fromCharCode(byte));
  const text = start.join("");
  const forms = mayBePage ? FORMS : [...FORMS, ...PAGES];
  return forms.find(([begins]) => begins.test(text))?.[1];
}

/** The same for a file that is not text: what begins as JSON or as a text is named, too. */
export function foreignBinary(bytes: Uint8Array): string | undefined {
  const known = foreignForm(bytes);
  if (known !== undefined || bytes.length < SHORTEST_TEXT) return known;
  const start = bytes.subarray(0, TOLD_BY_BYTES);
  if (!start.every((byte) => byte >= 0x20 && byte < 0x7f || byte >= 9 && byte <= 13)) {
    return undefined;
  }
  const line = new TextDecoder().decode(start).trim().split(/[\r\n]/)[0]?.slice(0, 60) ?? "";
  return `it is a text that begins ${JSON.stringify(line)}`;
}
