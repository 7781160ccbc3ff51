/** What became of the latest words: the same ones come again and again. */

/** Words that are remembered. */
const WORDS = 2 ** 14;

/** Code units of a word at most: of a longer one the engine may keep all the text that it is cut of. */
const LENGTH = 12;

/** The same function, which is asked once for a word: the result must depend on nothing else, and nobody change it. */
export function remembered<T>(of: (word: string) => T): (word: string) => T {
  const known = new Map<string, T>();
  return (word) => {
    if (word.length > LENGTH) return of(word);
    let result = known.get(word);
    if (result === undefined) {
      if (known.size === WORDS) known.clear();
      known.set(word, result = of(word));
    }
    return result;
  };
}
