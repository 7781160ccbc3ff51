// _channels: panels of columns that matrices of each channel's own are multiplied with (channel_matmul and its like).
// A column is a chunk of a sequence, and columns count through the chunks of the first sequence, of the second, ...
// Row k of a column is row `offset + chunk ld_chunk + k` of its sequence, of which a tensor has ld_batch, each with all
// channels side by side. Rows of a sequence from `limit` on are not there.

// A panel as the params of a kernel have it.
struct Panel {
  ld_batch: u32,
  ld_chunk: u32,
  offset: u32,
  limit: u32,
}

// The row of the tensor where column c begins.
fn column_start(panel: Panel, c: u32) -> u32 {
  return c / params.chunks * panel.ld_batch + panel.offset + c % params.chunks * panel.ld_chunk;
}

// Rows that column c has.
fn column_rows(panel: Panel, c: u32) -> u32 {
  let start = panel.offset + c % params.chunks * panel.ld_chunk;
  return select(0u, panel.limit - start, panel.limit > start);
}
