/** A PyTorch file is malformed or of a form that is not read. Reading it again will not help. */
export class PyTorchFileError extends SyntaxError {
  /** The class's name. */
  override readonly name = "PyTorchFileError";
}
