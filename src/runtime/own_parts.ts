/** Things made of parts that are freed with them: `using` and `DisposableStack` came to Node with version 24. */

/** Takes over a part, and gives it back. */
export type Own = <Part extends Disposable>(part: Part) => Part;

/**
 * Makes something of parts that are its own: disposing of it disposes of them, the last first, and so does a failure to
 * make it.
 *
 * @param make Makes it; whatever it hands to `own` is a part.
 */
export function ownParts<Whole extends object>(make: (own: Own) => Whole): Whole & Disposable {
  const parts: Disposable[] = [];
  const free = () => {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) part[Symbol.dispose]();
  };
  try {
    const whole = make((part) => {
      parts.push(part);
      return part;
    });
    return { ...whole, [Symbol.dispose]: free };
  } catch (error) {
    free();
    throw error;
  }
}
