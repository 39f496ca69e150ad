// The list: one card per item, drawn anew with every answer; what moved is seen moving, and the focus stays where it was.

import { cover } from "./cover.js";
import { h } from "./dom.js";
import { decimal, spoken, spokenReason, words } from "./format.js";
import { moved, positions } from "./motion.js";

/**
 * @typedef {import("./types.js").Card} Card
 * @typedef {import("./types.js").Action} Action
 * @typedef {import("./changes.js").Changes} Changes
 * @typedef {{act: (action: Action, card: Card) => void, open: (card: Card) => void}} Handlers
 * @typedef {{head: string, body: string, ways: [string, () => void][]}} None  What stands in an empty list.
 */

const ACTIONS = /** @type {[Action, string, string][]} */ ([
  ["watch", "Watch", "W"],
  ["like", "Like", "L"],
  ["hide", "Hide", "H"],
]);
const SLOTS = { explore: "exploration", fresh: "new release" };
const SKELETONS = 12;
/** @type {None} */
const NOTHING_LEFT = {
  head: "Nothing is left to show",
  body: "Everything this user could see was seen, hidden or filtered. The funnel tells what was removed and why.",
  ways: [],
};

/**
 * Shows the answer; `changes` are marked on the cards.
 *
 * @param {HTMLElement} list
 * @param {Card[]} items
 * @param {Changes | null} changes
 * @param {Handlers} handlers
 * @param {None} [none]
 */
export function showCards(list, items, changes, handlers, none = NOTHING_LEFT) {
  const before = positions(list);
  const focused = focusOf(list);
  const cards = items.map((card) => listItem(card, changes, handlers));
  list.replaceChildren(...(cards.length ? cards : [nothing(none)]));
  list.removeAttribute("aria-busy");
  moved(list, before);
  focused?.(list);
}

/** @param {HTMLElement} list */
export function showSkeletons(list) {
  list.setAttribute("aria-busy", "true");
  const one = () => h("li", { class: "card skeleton", "aria-hidden": "true" }, h("div", { class: "cover" }), h("p"), h("p"));
  list.replaceChildren(...Array.from({ length: SKELETONS }, one));
}

/**
 * Shows that a card is being acted on: it cannot be acted on twice.
 *
 * @param {HTMLElement} list
 * @param {string} id
 * @param {boolean} busy
 */
export function setBusy(list, id, busy) {
  const element = find(list, id);
  element?.classList.toggle("busy", busy);
  for (const button of element?.querySelectorAll(".actions button") ?? []) {
    button.setAttribute("aria-disabled", String(busy));
  }
}

/**
 * The card of an item.
 *
 * @param {HTMLElement} list
 * @param {string} id
 * @returns {HTMLElement | undefined}
 */
export function find(list, id) {
  return [.../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("li.card"))].find(
    (element) => element.dataset.item === id,
  );
}

/**
 * @param {Card} card
 * @param {Changes | null} changes
 * @param {Handlers} handlers
 */
function listItem(card, changes, handlers) {
  const title = spoken(card.title, `Item ${card.item_id}`);
  const slot = SLOTS[/** @type {keyof typeof SLOTS} */ (card.slot)];
  const facts = [card.year, card.genres.join(", ")].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: "card", "data-item": card.item_id },
    cover(
      card,
      title,
      h("span", { class: "rank", "aria-label": `Place ${card.rank}` }, card.rank),
      change(card, changes),
      h("h3", {}, h("button", { type: "button", class: "title", title, "aria-describedby": sentenceId(card), onclick: () => handlers.open(card) }, title)),
      h("p", { class: "facts" }, facts || "Nothing else is known"),
    ),
    h(
      "div",
      { class: "body" },
      h("p", { class: "reason" }, card.reasons.map(spokenReason).join("; ") || "no reason given"),
      h("p", { class: "sentence", id: sentenceId(card) }),
      (card.sources.length > 0 || slot) && h(
        "ul",
        { class: "chips", "aria-label": "Proposed by" },
        card.sources.map((source) => h("li", { class: `chip ${source}` }, words(source))),
        slot && h("li", { class: `chip slot ${card.slot}` }, slot),
      ),
      h("p", { class: "score", title: "What the ranker gives; higher is better" }, "score ", h("b", {}, decimal(card.score))),
      h("div", { class: "actions" }, ACTIONS.map(([action, label, key]) => button(action, label, key, card, title, handlers))),
    ),
  );
}

/**
 * @param {Action} action
 * @param {string} label
 * @param {string} key
 * @param {Card} card
 * @param {string} title
 * @param {Handlers} handlers
 */
function button(action, label, key, card, title, handlers) {
  return h(
    "button",
    {
      type: "button",
      class: action,
      "data-action": action,
      "aria-label": `${label} ${title}`,
      "aria-keyshortcuts": key,
      title: `${label} (${key})`,
      onclick: (/** @type {Event} */ event) => {
        const pressed = /** @type {HTMLElement} */ (event.currentTarget);
        if (pressed.getAttribute("aria-disabled") !== "true") handlers.act(action, card);
      },
    },
    label,
  );
}

/**
 * @param {Card} card
 * @param {Changes | null} changes
 */
function change(card, changes) {
  if (changes?.came.has(card.item_id)) return h("span", { class: "change came" }, "new");
  const gained = changes?.moved.get(card.item_id);
  if (!gained) return null;
  const said = `${gained > 0 ? "up" : "down"} ${Math.abs(gained)}`;
  return h("span", { class: "change", "aria-label": said }, `${gained > 0 ? "▲" : "▼"} ${Math.abs(gained)}`);
}

/** @param {None} none */
function nothing({ head, body, ways }) {
  const buttons = ways.map(([label, go]) => h("button", { type: "button", onclick: go }, label));
  return h("li", { class: "empty" }, h("h3", {}, head), h("p", {}, body), buttons);
}

/** @param {Card} card */
function sentenceId({ rank }) {
  return `sentence-${rank}`;
}

/**
 * Remembers where the focus is: on the same card again, or on the one that took its place.
 *
 * @param {HTMLElement} list
 * @returns {((list: HTMLElement) => void) | null}
 */
function focusOf(list) {
  const active = document.activeElement;
  const card = /** @type {HTMLElement | null} */ (active?.closest?.("li.card") ?? null);
  if (!active || !card || !list.contains(card)) return null;
  const place = [...list.children].indexOf(card);
  const action = active.getAttribute("data-action");
  return (renewed) => {
    const same = find(renewed, card.dataset.item ?? "");
    const target = same ?? /** @type {HTMLElement} */ (renewed.children[Math.min(place, renewed.children.length - 1)]);
    const selector = same && action ? `[data-action=${action}]` : "button.title";
    /** @type {HTMLElement | null} */ (target.querySelector(selector))?.focus({ preventScroll: true });
  };
}
