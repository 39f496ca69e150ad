// Arrows go from card to card, letters act on the card that holds the focus.

const LETTERS = new Set(["w", "l", "h"]);
const NAMES = { w: "watch", l: "like", h: "hide" };

/** @param {HTMLElement} list */
export function listenToKeys(list) {
  list.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const card = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest("li.card"));
    if (!card) return;
    const key = event.key.toLowerCase();
    if (LETTERS.has(key)) {
      event.preventDefault();
      const action = NAMES[/** @type {keyof typeof NAMES} */ (key)];
      if (!event.repeat) /** @type {HTMLElement} */ (card.querySelector(`[data-action=${action}]`)).click();
      return;
    }
    const target = neighbour(list, card, event.key);
    if (!target) return;
    event.preventDefault();
    const title = /** @type {HTMLElement} */ (target.querySelector("button.title"));
    title.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  });
}

/**
 * Lets "/" lead to a field from everywhere but where it is a letter.
 *
 * @param {HTMLElement} field
 */
export function listenToSlash(field) {
  document.addEventListener("keydown", (event) => {
    const free = !event.altKey && !event.ctrlKey && !event.metaKey && !document.querySelector("dialog[open]");
    const writing = /** @type {HTMLElement} */ (event.target).closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || !free || writing) return;
    event.preventDefault();
    field.focus();
  });
}

/**
 * The card that a key leads to; undefined when the key leads nowhere.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} card
 * @param {string} key
 * @returns {HTMLElement | undefined}
 */
function neighbour(list, card, key) {
  const cards = [.../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("li.card"))];
  const place = cards.indexOf(card);
  if (key === "ArrowRight") return cards[place + 1];
  if (key === "ArrowLeft") return cards[place - 1];
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  if (key === "ArrowDown") return cards.slice(place + 1).find((other) => below(card, other));
  if (key === "ArrowUp") return cards.slice(0, Math.max(place, 0)).findLast((other) => below(other, card));
  return undefined;
}

/**
 * Whether `other` stands in the same column further down.
 *
 * @param {HTMLElement} card
 * @param {HTMLElement} other
 */
function below(card, other) {
  return other.offsetTop > card.offsetTop && Math.abs(other.offsetLeft - card.offsetLeft) < card.offsetWidth / 2;
}
