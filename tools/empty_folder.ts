/**
 * Makes a folder that a checkpoint is written to: what lies in it already could be taken for a part of that.
 *
 * @throws {Error} If it is there and not empty.
 */
export async function makeEmptyFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    throw new Error(
      `Cannot write to "${folder}": it has "${name}" already, expected an empty folder`,
    );
  }
}
