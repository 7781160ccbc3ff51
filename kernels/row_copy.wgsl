// row_copy: the whole state of one sequence, from a buffer of its own into a row of a batch's, or back (TO_OWN).
//   rows[table[u].first + row table[u].stride + i] = own[u UNIT + i]        0 <= i < table[u].size
// Both buffers hold a state part by part, and parts begin at multiples of UNIT words: a unit of `own` is of one part. A
// workgroup copies UNITS of them, a lane a word.
override TO_OWN: bool;

struct Params {
  row: u32,
  units: u32,
}

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;     // (units): first, stride, size, none
@group(0) @binding(1) var<storage, read_write> own: array<u32>;       // (units, UNIT)
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;      // each part (batch, stride)
@group(0) @binding(3) var<uniform> params: Params;

const UNIT = 64u;
const UNITS = 4u;

@compute @workgroup_size(UNIT, UNITS)
fn row_copy(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
            @builtin(local_invocation_id) lid: vec3<u32>) {
  let unit = (wid.x + wid.y * grid.x) * UNITS + lid.y;
  if (unit >= params.units) {
    return;
  }
  let place = table[unit];
  if (lid.x >= place.z) {
    return;
  }
  let there = place.x + params.row * place.y + lid.x;
  if (TO_OWN) {
    own[unit * UNIT + lid.x] = rows[there];
  } else {
    rows[there] = own[unit * UNIT + lid.x];
  }
}
