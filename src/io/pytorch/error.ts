/**
 * A PyTorch file is malformed or of a form that is not read. Reading it again will not help.
 *
 * @example A pointer in the place of the file
 * ```ts
 * import { loadModel, PyTorchFileError } from "../../../mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.copyFile("tests/golden/mamba1-raw/config.json", `${folder}/config.json`);
 * await Deno.writeTextFile(`${folder}/pytorch_model.bin`, "version https://git-lfs.github.com/spec/v1");
 * const error = await loadModel(folder).catch((error) => error);
 * error instanceof PyTorchFileError; // true: it says what to do
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class PyTorchFileError extends SyntaxError {
  /** The class's name. */
  override readonly name = "PyTorchFileError";
}
