/** The value, which a test has reason to know is there; the npm form of @std/assert narrows no types. */
export function defined<T>(value: T | undefined, name = "value"): T {
  if (value === undefined) throw new TypeError(`Cannot test: ${name} is undefined`);
  return value;
}
