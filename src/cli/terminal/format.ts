/** Quantities for people. */

const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Such as "2.95 MB"; units of 1000. */
export function formatBytes(bytes: number): string {
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${BYTE_UNITS[unit]}`;
}

/** Such as "129,135,360". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Such as "0.41 s", "12 s", "3 min 20 s". */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (seconds < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}

/** Such as "1,204" or "8.3": how many in a second. */
export function formatRate(count: number, elapsedMs: number): string {
  const rate = count / Math.max(elapsedMs, 1e-3) * 1000;
  return rate >= 100 ? formatCount(Math.round(rate)) : rate.toPrecision(3);
}
