/** Whether a command printed what a page shows, as far as two runs can agree. */

/** Lines that are Deno's own, of tasks and downloads, and those that only a slow machine sees. */
const FOREIGN = /^(Task |Download |Warning |Loading: )/;

/** The lines of an output that a page would show. */
export function outputLines(output: string): string[] {
  // deno-lint-ignore no-control-regex -- what colors a terminal
  const plain = output.replaceAll(/\x1b\[[\d;]*m/g, "").split("\n").map((line) => line.trimEnd());
  const lines = plain.filter((line) => !FOREIGN.test(line));
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

/** A line without what differs from run to run: numbers, their units of time, the device's name, the width of columns. */
export function shapeOf(line: string): string {
  return line.trimEnd()
    .replace(/^(Device: |The model runs on ).*/, "$1#")
    .replaceAll(/[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/g, "#")
    .replaceAll(/# (us|ms|s|min|h)\b/g, "# s")
    .replaceAll(/(?<=\S) {2,}|^ +/g, " ");
}

/**
 * Whether the lines found have the shape of those shown. A line "..." stands for any lines, and one that ends in "..."
 * for all that begin with it.
 *
 * @param wordsVary Only lines with numbers are compared: they come in that order, between any others.
 */
export function hasShape(
  found: readonly string[],
  shown: readonly string[],
  wordsVary = false,
): boolean {
  const asPattern = (line: string): string => {
    if (line === "...") return "(?:.*\\n)*?";
    const start = line.endsWith("...") ? line.slice(0, -3) : line;
    return `${escape(shapeOf(start))}${start === line ? "" : ".*"}\\n`;
  };
  const any = asPattern("...");
  const pattern = wordsVary
    ? [
      any,
      ...shown.filter((line) => shapeOf(line).includes("#")).flatMap((l) => [asPattern(l), any]),
    ]
    : shown.map(asPattern);
  const text = found.map((line) => `${shapeOf(line)}\n`).join("");
  return new RegExp(`^${pattern.join("")}$`).test(text);
}

/**
 * The lines as a page shows them, from another run of the same shape: those cut short, by "...", stay so.
 */
export function renewed(found: readonly string[], shown: readonly string[]): readonly string[] {
  if (!shown.some((line) => line.endsWith("..."))) return found;
  let at = 0;
  return shown.map((line) => {
    if (line.endsWith("...")) return line;
    const place = found.findIndex((own, index) => index >= at && shapeOf(own) === shapeOf(line));
    at = place + 1;
    return found[place] ?? line;
  });
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
