import { isLeftover } from "../src/io/write_whole.ts";

/**
 * Makes a folder that a checkpoint is written to: what lies in it already could be taken for a part of that. What a killed
 * process left there is removed.
 *
 * @throws {Error} If it is there and not empty.
 */
export async function makeEmptyFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  const foreign = names.find((name) => !isLeftover(name));
  if (foreign !== undefined) {
    throw new Error(
      `Cannot write to "${folder}": it has "${foreign}" already, expected an empty folder`,
    );
  }
  for (const name of names) await Deno.remove(`${folder}/${name}`);
}
