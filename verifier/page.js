/** Elements of a page, made from strings that anybody may have written. */

const MOST_CHARACTERS = 400;

/** Characters that do not print, are invisible or change the direction of writing. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Mn}\u115f\u1160\u2800\u3164\uffa0]/gu;

/** A string of anybody's, as text to show. @param {string} text */
export function visible(text) {
  const shown = text.slice(0, MOST_CHARACTERS).replace(HIDDEN, (one) => {
    return `<U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`;
  });
  return text.length > MOST_CHARACTERS ? `${shown}…` : shown;
}

/**
 * A new element.
 * @param {string} name @param {Record<string, string>} attributes @param {...(Node | string)} children
 */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** A table. @param {string} caption @param {string[]} head @param {Node[][]} rows of cells */
export function table(caption, head, rows) {
  const columns = head.map((name) => element("th", { scope: "col" }, name));
  const lines = rows.map(([first, ...cells]) => {
    const others = cells.map((cell) => element("td", {}, cell));
    return element("tr", {}, element("th", { scope: "row" }, first), ...others);
  });
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...columns)),
    element("tbody", {}, ...lines),
  );
}

/** A string of anybody's, apart from the words around it. @param {string} text */
export const quoted = (text) => element("bdi", {}, visible(text));
