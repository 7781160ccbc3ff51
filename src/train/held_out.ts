/** Which training examples are kept apart to validate with: at equal distances, so that they are of all kinds. */

import { SettingError } from "./setting_error.ts";

/**
 * Says of each example whether it is kept apart.
 *
 * @param count Examples, in the order of their file or their names.
 * @param wanted How many to keep apart.
 * @param what They are, such as "recordings".
 * @throws {SettingError} If none are left to train on.
 */
export function heldOutOf(count: number, wanted: number, what: string): (index: number) => boolean {
  if (!Number.isSafeInteger(wanted) || wanted < 1 || wanted >= count) {
    throw new SettingError(
      `Cannot hold out ${wanted} of ${count} ${what}: expected a whole number from 0 to ${
        count - 1
      }`,
    );
  }
  return (index) => Math.floor((index + 1) * wanted / count) > Math.floor(index * wanted / count);
}
