// _chains: the order in which the kernels of steps add up a product's sum, whatever else they do.
// A chunk is the columns that 16 bytes of weight hold. Chain i of CHAINS takes chunks i, i + CHAINS, ... one after the
// other, each column by fma(), which leaves a compiler nothing to round otherwise in one kernel than in another; groups
// of GROUP_CHAINS chains are added up, and then the groups, all in order. Of quantized weights a chunk is summed by
// itself, and the chain takes that times its scale. Squares of an input are summed by fours of columns: chain i takes
// fours i, i + CHAINS, ...
// So a row has the same bits alone and among others.
const CHAINS = 32u;
const GROUP_CHAINS = 4u;

fn square_of(v: vec4<f32>) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, v.x * v.x)));
}

// sum + a . b
fn plus_dot(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// A group's chains, or any four numbers in order.
fn sum4(v: vec4<f32>) -> f32 {
  return ((v.x + v.y) + v.z) + v.w;
}

// Whether a chain is the last one of its group.
fn ends_group(chain: u32) -> bool {
  return chain % GROUP_CHAINS == GROUP_CHAINS - 1u;
}
