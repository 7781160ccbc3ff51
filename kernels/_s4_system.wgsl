// _s4_system: what a step of S4D or S4 is, as s4d_system and s4_system leave it, read pair by pair.
// The kernel declares system, D_MODEL and PAIRS.

// A block's number of pair n: a is block 0, b 1, p 2 and q 3.
fn system_at(block: u32, n: u32, d: u32) -> vec2<f32> {
  let row = (block * PAIRS + n) * 2u;
  return vec2<f32>(system[row * D_MODEL + d], system[(row + 1u) * D_MODEL + d]);
}
