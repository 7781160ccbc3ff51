/** Figures side by side, as an SVG file. */

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Whether it is somebody else's. */
  readonly isOther: boolean;
}

/** Bars on a scale of their own. */
export interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 800, LEFT = 250, RIGHT = 90;
const BAR = 18, STEP = 26, TITLE = 34;
/** As the curves have them, for what is ours and what is not. */
const OURS = "#0072b2", OTHERS = "#999";

/**
 * Draws groups of bars below each other, each from zero to its own largest.
 *
 * @param title Above the plot.
 * @param unit After each number.
 * @returns The file's text; the same figures give the same text.
 */
export function barChart(title: string, unit: string, groups: readonly BarGroup[]): string {
  const parts: string[] = [`<text x="20" y="26" font-size="15">${escape(title)}</text>`];
  let top = 44;
  for (const { title, bars } of groups) {
    parts.push(`<text x="20" y="${top + 20}" font-weight="bold">${escape(title)}</text>`);
    top += TITLE;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { name, value, isOther } of bars) {
      const width = ((WIDTH - LEFT - RIGHT) * value / most).toFixed(1);
      const middle = top + BAR / 2;
      parts.push(
        `<text x="${LEFT - 8}" y="${middle}" dy="4" text-anchor="end">${escape(name)}</text>`,
        `<rect x="${LEFT}" y="${top}" width="${width}" height="${BAR}" ` +
          `fill="${isOther ? OTHERS : OURS}"/>`,
        `<text x="${(LEFT + Number(width) + 6).toFixed(1)}" y="${middle}" dy="4">` +
          `${value.toLocaleString("en-US")}${escape(unit)}</text>`,
      );
      top += STEP;
    }
  }
  const height = top + 12;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" ` +
    `height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
