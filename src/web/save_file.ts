/// <reference lib="dom" />

/** Hands the reader a file, as a download. */
export function saveFile(name: string, content: BlobPart, type = "application/octet-stream"): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun by then, and holds the content itself.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
