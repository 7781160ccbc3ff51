/// <reference lib="dom" />
/** Elements of the page by their ids. */

/**
 * The element with an id.
 *
 * @throws {TypeError} If the page has none, or another kind of one.
 */
export function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`Cannot find the page's ${kind.name} "${id}"`);
}

/** A new element with a class and a text. */
export function create<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  { className = "", text = "" } = {},
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

/** A new button that does something. */
export function createButton(text: string, onClick: () => void): HTMLButtonElement {
  const button = create("button", { text });
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}
