import type { ByteSource } from "../byte_source.ts";

/** The files of one repository at one revision, wherever they are kept. */
export interface HubFiles {
  /**
   * Opens a file.
   *
   * @param file Its path in the repository.
   * @returns The source, or undefined if there is no such file.
   */
  open(file: string): Promise<ByteSource | undefined>;
  /** Is told which files will be opened, so that what is downloaded first comes at once, with progress over all. */
  fetchAll(files: readonly string[]): Promise<unknown>;
}
