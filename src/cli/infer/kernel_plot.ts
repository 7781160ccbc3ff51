/** Convolution kernels as an SVG: a line a channel over the lag. */

import type { LayerKernels } from "../../model/mixers/mixer.ts";

const WIDTH = 960, HEIGHT = 420, MARGIN = 48;

/** Points of a line: more than a screen shows. */
const MAX_POINTS = 1000;

/** A plot with all channels, short steps of the sequence in blue and long ones in red. */
export function kernelPlot({ steps, kernels }: LayerKernels, title: string): string {
  const length = kernels[0]?.length ?? 1;
  const largest = Math.max(1e-12, ...kernels.map((kernel) => Math.max(...kernel.map(Math.abs))));
  const x = (lag: number) => MARGIN + (WIDTH - 2 * MARGIN) * lag / Math.max(1, length - 1);
  const y = (value: number) => HEIGHT / 2 - (HEIGHT / 2 - MARGIN) * value / largest;
  const stride = Math.max(1, Math.ceil(length / MAX_POINTS));
  const [shortest, longest] = [Math.min(...steps), Math.max(...steps)].map(Math.log);
  const lines = kernels.map((kernel, d) => {
    const points = Array.from(
      { length: Math.ceil(length / stride) },
      (_, i) => `${x(i * stride).toFixed(1)},${y(kernel[i * stride] ?? 0).toFixed(1)}`,
    );
    const share = (Math.log(steps[d] ?? 1) - (shortest ?? 0)) /
      Math.max(1e-12, (longest ?? 0) - (shortest ?? 0));
    return `<polyline points="${points.join(" ")}" stroke="hsl(${
      Math.round(220 - 220 * share)
    } 70% 45%)"/>`;
  });
  const label = (text: string, at: readonly [number, number], anchor = "start") =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}">${text}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${HEIGHT / 2}" y2="${
      HEIGHT / 2
    }" stroke="#999"/>`,
    `<g fill="none" stroke-width="1" stroke-opacity="0.6">`,
    ...lines,
    "</g>",
    label(title, [MARGIN, MARGIN - 20]),
    label(largest.toPrecision(3), [MARGIN, MARGIN - 4]),
    label((-largest).toPrecision(3), [MARGIN, HEIGHT - MARGIN + 16]),
    label(`lag ${length - 1}`, [WIDTH - MARGIN, HEIGHT / 2 + 18], "end"),
    label("blue: short steps, red: long ones", [WIDTH - MARGIN, MARGIN - 20], "end"),
    "</svg>",
    "",
  ].join("\n");
}
