// _linear: how the products y = x weight^T + bias of many rows read x and weight, four columns of a row at a time, and
// write y. The kernel declares x, weight, bias, y, y_elements and params, and all overrides that are named here, among
// them WHOLE, whether no column past D_IN is asked for. Goes after _weight.

// Where rows of x begin. Rows past the end are the last one's copies, whose sums nobody writes.
fn x_starts(m: vec4<u32>) -> vec4<u32> {
  return params.x_offset + min(m, vec4<u32>(params.rows - 1u)) * params.ld_x;
}

fn x_element(start: u32, k: u32) -> f32 {
  let i = start + min(k, D_IN - 1u);
  return select(0.0, x[i / 4u][i % 4u], k < D_IN);
}

// Columns k to k + 3 of a row, zero past D_IN.
fn x_at(start: u32, k: u32) -> vec4<f32> {
  if (X_ALIGNED && WHOLE) {
    return x[start / 4u + k / 4u];
  }
  if (X_ALIGNED) {
    return select(vec4<f32>(0.0), x[(start + min(k, D_IN - 4u)) / 4u], k < D_IN);
  }
  return vec4<f32>(x_element(start, k), x_element(start, k + 1u), x_element(start, k + 2u), x_element(start, k + 3u));
}

// The like of a weight.
fn weight_starts(o: vec4<u32>) -> vec4<u32> {
  return min(o, vec4<u32>(ROWS - 1u)) * W_STRIDE;
}

// Where x is zero, past D_IN, any element of the row will do.
fn weight_at(start: u32, k: u32) -> vec4<f32> {
  let column = select(min(k, W_STRIDE - 4u), k, WHOLE);
  let row = start / W_STRIDE;
  let element = start + column;
  if (W_DTYPE == DTYPE_F32) {
    return bitcast<vec4<f32>>(weight[element / 4u]);
  }
  if (W_DTYPE == DTYPE_INT8) {
    return scale_at(row, column) * unpack_int8(weight[element / 16u][element / 4u % 4u]);
  }
  if (W_DTYPE == DTYPE_INT4) {
    let word = weight[element / 32u][element / 8u % 4u];
    return scale_at(row, column) * unpack_int4(word >> (element % 8u));
  }
  let words = weight[element / 8u];
  let half = select(words.xy, words.zw, element % 8u == 4u);
  if (W_DTYPE == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

// By elements: two lanes' may share a vector, and each would write all of it.
fn write1(i: u32, o: u32, sum: f32) {
  if (o >= ROWS) {
    return;
  }
  var value = sum;
  if (BIAS) {
    value += bias[(ROW_START + o) / 4u][(ROW_START + o) % 4u];
  }
  if (RESIDUAL) {
    value += y_elements[i];
  }
  y_elements[i] = value;
}

fn write4(first: u32, m: u32, o: u32, sum: vec4<f32>) {
  if (m >= params.rows || o >= ROWS) {
    return;
  }
  let i = (first + m) * params.ld_y + ROW_START + o;
  if (Y_ALIGNED) {
    var value = sum;
    if (BIAS) {
      value += bias[(ROW_START + o) / 4u];
    }
    if (RESIDUAL) {
      value += y[i / 4u];
    }
    y[i / 4u] = value;
  } else {
    write1(i, o, sum.x);
    write1(i + 1u, o + 1u, sum.y);
    write1(i + 2u, o + 2u, sum.z);
    write1(i + 3u, o + 3u, sum.w);
  }
}
