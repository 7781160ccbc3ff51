// copy: to[i] = from[i], 16 bytes a lane. What memory gives at best.
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<u32>>;

@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
  let i = id.x + id.y * grid.x * 256u;
  if (i < arrayLength(&copied)) {
    copied[i] = source[i];
  }
}
