/** The loss curve of a run, as an SVG file. */

/** One line of the plot. */
export interface Curve {
  /** What the legend calls it. */
  readonly name: string;
  /** Step and value, in any order; values that are not finite are left out. */
  readonly points: readonly (readonly [step: number, value: number])[];
}

const WIDTH = 800, HEIGHT = 450;
const LEFT = 60, RIGHT = 20, TOP = 40, BOTTOM = 45;
/** Told apart in print and by color-blind eyes (Okabe and Ito). */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/** More points than this cannot be told apart: neighbors are averaged. */
const MAX_POINTS = 400;

/**
 * Draws curves over the step.
 *
 * @param title Above the plot.
 * @param curves One for each line, such as training and validation loss; empty ones are left out.
 * @param across What stands below the plot.
 * @returns The file's text; the same curves give the same text.
 */
export function lossCurve(title: string, curves: readonly Curve[], across = "step"): string {
  const lines = curves.map(({ name, points }) => ({
    name,
    points: thin(points.filter((point) => point.every(Number.isFinite))),
  })).filter(({ points }) => points.length > 0);
  const all = lines.flatMap(({ points }) => points);
  const x = axis(all.map(([step]) => step), LEFT, WIDTH - RIGHT);
  const y = axis(all.map(([, value]) => value), HEIGHT - BOTTOM, TOP);
  const at = (value: number) => value.toFixed(1);
  // The legend stands where no curve is at its highest.
  const highest = all.find(([, value]) => value === y.end);
  const isLeft = highest !== undefined && x.place(highest[0]) > (LEFT + WIDTH - RIGHT) / 2;
  const legend = isLeft ? `x="${LEFT + 8}"` : `x="${WIDTH - RIGHT - 8}" text-anchor="end"`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" ` +
    `height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="15">${escape(title)}</text>`,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">${escape(across)}</text>`,
  ];
  for (const tick of y.ticks) {
    const v = at(y.place(tick));
    parts.push(`<path d="M${LEFT} ${v}H${WIDTH - RIGHT}" stroke="#ddd"/>`);
    parts.push(`<text x="${LEFT - 6}" y="${v}" dy="4" text-anchor="end">${label(tick)}</text>`);
  }
  for (const tick of x.ticks) {
    const h = at(x.place(tick));
    parts.push(`<path d="M${h} ${HEIGHT - BOTTOM}v5" stroke="#888"/>`);
    parts.push(
      `<text x="${h}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label(tick)}</text>`,
    );
  }
  lines.forEach(({ name, points }, index) => {
    const color = COLORS[index % COLORS.length] ?? "";
    const path = points.map(([step, value]) => `${at(x.place(step))} ${at(y.place(value))}`);
    const shown = path.length === 1 ? [...path, ...path] : path;
    parts.push(
      `<path d="M${shown.join("L")}" fill="none" stroke="${color}" stroke-width="1.5" ` +
        `stroke-linecap="round"/>`,
    );
    const top = TOP + 14 + 18 * index;
    parts.push(
      `<text ${legend} y="${top}" fill="${color}">${escape(name)}</text>`,
    );
  });
  return `${parts.join("\n")}\n</svg>\n`;
}

/** Averages neighbors until no more than `MAX_POINTS` are left. */
function thin(points: Curve["points"]): Curve["points"] {
  const sorted = points.toSorted(([a], [b]) => a - b);
  const size = Math.ceil(sorted.length / MAX_POINTS);
  if (size <= 1) return sorted;
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, group) => {
    const members = sorted.slice(group * size, (group + 1) * size);
    const mean = (index: 0 | 1) =>
      members.reduce((sum, point) => sum + point[index], 0) / members.length;
    return [mean(0), mean(1)] as const;
  });
}

/** Maps the values' range onto pixels, with some four to ten round ticks. */
function axis(values: readonly number[], from: number, to: number) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const [start, end] = low < high ? [low, high] : low === high ? [low - 1, high + 1] : [0, 1];
  const rough = (end - start) / 5;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const spacing = magnitude * ([1, 2, 5].find((factor) => factor * magnitude >= rough) ?? 10);
  const first = Math.ceil(start / spacing), last = Math.floor(end / spacing);
  return {
    end,
    place: (value: number) => from + (to - from) * (value - start) / (end - start),
    ticks: Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * spacing),
  };
}

function label(tick: number): string {
  return String(Number(tick.toPrecision(6)));
}

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
