/** What an op record asks for. Compiled by both sides, the module's and Deno's: one line an op, numbers stand once. */
export enum OpKind {
  embedding_fwd,
}
