/** Class probabilities for people: as bars, and as a few words. */

import type { Classification } from "../../engine/classify.ts";

/** Columns of a percentage with one decimal and the space before it. */
const PERCENT_WIDTH = 7;

/** A bar's last character, by eighths of its width. */
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/**
 * Draws a bar for every class.
 *
 * @param result Of which the likeliest class is set in bold where there are colors.
 * @param labels Names of the classes; their indices if undefined.
 * @param width Columns in all.
 * @param colors Whether escape sequences may be used.
 * @returns One line a class, without spaces at its end.
 */
export function drawProbabilities(
  { probabilities, index }: Classification,
  labels: readonly string[] | undefined,
  width: number,
  colors: boolean,
): string[] {
  const names = Array.from(probabilities, (_, i) => labels?.[i] ?? String(i));
  const nameWidth = Math.max(...names.map((name) => name.length));
  const barWidth = Math.max(width - nameWidth - 1 - PERCENT_WIDTH, 0);
  return names.map((name, i) => {
    const probability = probabilities[i] ?? 0;
    const line = `${name.padEnd(nameWidth)} ${bar(probability, barWidth)}` +
      percent(probability).padStart(PERCENT_WIDTH);
    return colors && i === index ? `\x1b[1m${line}\x1b[0m` : line;
  });
}

function bar(fraction: number, width: number): string {
  const eighths = Math.round(fraction * width * 8);
  return ("█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]).padEnd(width);
}

/** The likeliest classes first, such as "7 91.2%   9 4.1%". */
export function listProbabilities(
  { probabilities }: Classification,
  labels: readonly string[] | undefined,
  count: number,
): string {
  return Array.from(probabilities, (probability, i) => ({ probability, i }))
    .sort((a, b) => b.probability - a.probability).slice(0, count)
    .map(({ probability, i }) =>
      `${labels?.[i] ?? i}${percent(probability).padStart(PERCENT_WIDTH)}`
    )
    .join("   ");
}

/** Such as "91.2%". */
export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)}%`;
}
