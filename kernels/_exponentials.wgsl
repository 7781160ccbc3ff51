// _exponentials: sums of exponentials that are the same whoever has which of them, as they are of integers: of 2^-41,
// in three parts of 13 and twice 14 bits, so that no part of a sum overflows with fewer than 2^18 ids.
// The kernel declares LANES.
const HIGH_UNITS = 8192.0; // 2^13
const LOW_UNITS = 16384.0; // 2^14

var<workgroup> high_parts: array<u32, LANES>;
var<workgroup> middle_parts: array<u32, LANES>;
var<workgroup> low_parts: array<u32, LANES>;

// Of a number up to 1. Every step is exact.
fn parts_of(value: f32) -> vec3<u32> {
  let high = value * HIGH_UNITS;
  let middle = fract(high) * LOW_UNITS;
  return vec3<u32>(u32(high), u32(middle), u32(fract(middle) * LOW_UNITS));
}

fn sum_of_parts(sum: vec3<u32>) -> f32 {
  let low = fma(f32(sum.z), 1.0 / LOW_UNITS, f32(sum.y));
  return fma(low, 1.0 / LOW_UNITS, f32(sum.x)) / HIGH_UNITS;
}

fn parts_at(lane: u32) -> vec3<u32> {
  return vec3<u32>(high_parts[lane], middle_parts[lane], low_parts[lane]);
}

fn put_parts(lane: u32, own: vec3<u32>) {
  high_parts[lane] = own.x;
  middle_parts[lane] = own.y;
  low_parts[lane] = own.z;
}

// The sum of what all lanes have.
fn add_parts(lane: u32, own: vec3<u32>) -> vec3<u32> {
  var sum = own;
  workgroupBarrier();
  for (var half = 512u; half > 0u; half /= 2u) {
    if (half < LANES) {
      if (lane >= half && lane < 2u * half) {
        put_parts(lane, sum);
      }
      workgroupBarrier();
      if (lane < half && lane + half < LANES) {
        sum += parts_at(lane + half);
      }
    }
  }
  if (lane == 0u) {
    put_parts(0u, sum);
  }
  workgroupBarrier();
  return parts_at(0u);
}
