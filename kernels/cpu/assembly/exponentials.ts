// Exponentials of f64, for what one step of S4 is, which is computed seldom and counts a thousand times.

const HALF_PI: f64 = 1.5707963267948966;
const LN2: f64 = 0.6931471805599453;

/** exp(x) - 1, for x of at most some hundred. */
export function expm1(x: f64): f64 {
  const within = max(x, -700.0);
  const n = nearest(within / LN2);
  const r = within - n * LN2;
  let p: f64 = 1;
  for (let k: f64 = 14; k > 1; k--) p = 1 + p * r / k;
  const e = r * p;
  return n == 0 ? e : (1 + e) * reinterpret<f64>((<i64>n + 1023) << 52) - 1;
}

/** cos(x) - 1. */
export function cosm1(x: f64): f64 {
  const n = nearest(x / HALF_PI);
  const r = x - n * HALF_PI;
  const quarter = <i64>n & 3;
  if (quarter == 0) return cosm1Near(r);
  if (quarter == 1) return -sinNear(r) - 1;
  return quarter == 2 ? -cosm1Near(r) - 2 : sinNear(r) - 1;
}

/** sin(x). */
export function sin(x: f64): f64 {
  const n = nearest(x / HALF_PI);
  const r = x - n * HALF_PI;
  const quarter = <i64>n & 3;
  if (quarter == 0) return sinNear(r);
  if (quarter == 1) return cosm1Near(r) + 1;
  return quarter == 2 ? -sinNear(r) : -cosm1Near(r) - 1;
}

function sinNear(r: f64): f64 {
  let p: f64 = 1;
  for (let k: f64 = 16; k > 1; k -= 2) p = 1 - p * r * r / (k * (k + 1));
  return r * p;
}

function cosm1Near(r: f64): f64 {
  let p: f64 = 1;
  for (let k: f64 = 15; k > 2; k -= 2) p = 1 - p * r * r / (k * (k + 1));
  return -0.5 * r * r * p;
}

/** Where real parts of A end, as f32 has it: states always decay. */
export const DECAY_LIMIT: f64 = <f64>(<f32>-1e-4);
