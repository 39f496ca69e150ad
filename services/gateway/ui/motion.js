// Cards glide to their new places, new ones appear, those that left fade where they were. Still for who asked for that.

import { setVariables, still } from "./dom.js";

const GLIDE = { duration: 420, easing: "cubic-bezier(0.2, 0.8, 0.2, 1)" };
const LEAVE = { duration: 260, easing: "ease-in" };

/** @typedef {Map<string, {element: HTMLElement, box: DOMRect}>} Positions */

/**
 * Where every card is now.
 *
 * @param {HTMLElement} list
 * @returns {Positions}
 */
export function positions(list) {
  const cards = /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("li.card:not(.skeleton)"));
  return new Map([...cards].map((element) => [element.dataset.item ?? "", { element, box: element.getBoundingClientRect() }]));
}

/**
 * Animates from where the cards were to where they are (FLIP: first, last, invert, play).
 *
 * @param {HTMLElement} list
 * @param {Positions} before
 */
export function moved(list, before) {
  if (still()) return;
  const after = positions(list);
  for (const [id, { element, box }] of after) {
    const old = before.get(id)?.box;
    if (!old) {
      element.animate([{ opacity: 0, transform: "translateY(18px) scale(0.97)" }, { opacity: 1, transform: "none" }], GLIDE);
    } else if (old.left !== box.left || old.top !== box.top) {
      const from = `translate(${old.left - box.left}px, ${old.top - box.top}px)`;
      element.animate([{ transform: from }, { transform: "none" }], GLIDE);
    }
  }
  for (const [id, { element, box }] of before) {
    if (!after.has(id)) leave(list, element, box);
  }
}

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} element no longer in the list
 * @param {DOMRect} box where it was
 */
function leave(list, element, box) {
  const ghost = document.createElement("div");
  const origin = /** @type {HTMLElement} */ (list.parentElement).getBoundingClientRect();
  ghost.className = "card ghost";
  ghost.inert = true;
  setVariables(ghost, {
    left: `${box.left - origin.left}px`,
    top: `${box.top - origin.top}px`,
    width: `${box.width}px`,
    height: `${box.height}px`,
  });
  ghost.append(...element.children);
  // Beside the list, not in it: nobody who counts its entries meets one that has left.
  list.after(ghost);
  const gone = ghost.animate([{ opacity: 1 }, { opacity: 0, transform: "scale(0.9)" }], LEAVE);
  gone.finished.finally(() => ghost.remove());
}
