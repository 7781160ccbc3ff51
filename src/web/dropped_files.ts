/// <reference lib="dom" />
/** Files that the reader gives the page: dropped anywhere on it, or chosen. */

/** What a saved state has near its beginning. */
const STATE_FORMAT = "slither-snapshot-";

/** Bytes within which it stands: only a checksum comes before. */
const STATE_FORMAT_WITHIN = 128;

/** Hands on all files that are dropped on the page. */
export function onDroppedFiles(take: (files: readonly File[]) => void): void {
  const { documentElement } = document;
  const isFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    documentElement.classList.add("dropping");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) documentElement.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    documentElement.classList.remove("dropping");
    if (!isFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer?.files ?? []]);
  });
}

/** Hands on the files that are chosen in a field; the same may be chosen again. */
export function onChosenFiles(
  input: HTMLInputElement,
  take: (files: readonly File[]) => void,
): void {
  input.addEventListener("change", () => {
    const files = [...input.files ?? []];
    input.value = "";
    if (files.length > 0) take(files);
  });
}

/** Whether a file is a state that was saved. */
export async function isSavedState(file: File): Promise<boolean> {
  return (await file.slice(0, STATE_FORMAT_WITHIN).text()).includes(STATE_FORMAT);
}
