// Elements from plain values. Text becomes text, never markup; styles are set as variables, which the content policy allows.

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * An element: `h("button", {class: "quiet", onclick: act}, "Go")`.
 *
 * @param {string} tag
 * @param {Record<string, any>} [properties] attributes; `on…` are listeners, `vars` are CSS variables
 * @param {...Child} children empty ones are left out
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "vars") setVariables(element, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {Record<string, string | number>} variables
 */
export function setVariables(element, variables) {
  for (const [name, value] of Object.entries(variables)) element.style.setProperty(name, String(value));
}

/**
 * The element of the page with this id, which index.html is known to have.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Whether the reader asked for a still page. */
export function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function flat(children) {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === false || child === "") return [];
    if (Array.isArray(child)) return flat(child);
    return [child instanceof Node ? child : String(child)];
  });
}
