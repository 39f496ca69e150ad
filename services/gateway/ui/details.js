// One item in a dialog: what the catalog and its events say of it, why it is in the list, and what is like it.

import * as api from "./api.js";
import { cover } from "./cover.js";
import { h } from "./dom.js";
import { counted, day, decimal, precise, spoken, words } from "./format.js";
import { SAID_BY } from "./why.js";

/**
 * @typedef {import("./types.js").Card} Card
 * @typedef {import("./types.js").Item} Item
 */

const SIMILAR = 6;
const TELLING = 5;
const DAY_MS = 86_400_000;
const STATISTICS = /** @type {[string, string, (value: number) => string][]} */ ([
  ["event_count", "events", counted],
  ["recent_count", "recent events", decimal],
  ["like_rate", "liked by", (share) => `${Math.round(share * 100)} %`],
  ["mean_value", "mean rating", (value) => `${value.toFixed(1)} of 5`],
  ["last_seen_days", "last event", (days) => day(days * DAY_MS)],
]);

/**
 * @param {HTMLDialogElement} dialog
 * @param {string} id
 * @param {Card | undefined} card as it stands in the list, when it does
 */
export async function openDetails(dialog, id, card) {
  dialog.dataset.item = id;
  fill(dialog, h("h2", { id: "details-title", class: "plain" }, "Looking it up…"), h("div", { class: "skeleton bar" }));
  if (!dialog.open) dialog.showModal();
  try {
    const [item, like] = await Promise.all([api.item(id), api.similar(id, SIMILAR)]);
    if (dialog.dataset.item === id) show(dialog, item, card, like.items);
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    fill(dialog, h("h2", { id: "details-title", class: "plain" }, "That did not work"), h("p", { role: "alert" }, error.message));
  }
}

/**
 * Lets a click beside the dialog close it; Escape does by itself.
 *
 * @param {HTMLDialogElement} dialog
 */
export function closable(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {Item} item
 * @param {Card | undefined} card
 * @param {Card[]} like
 */
function show(dialog, item, card, like) {
  const title = spoken(item.title);
  const facts = [item.year, item.genres.join(", "), item.creators.join(", ")].filter(Boolean).join(" · ");
  const known = STATISTICS.filter(([name]) => name in item.statistics);
  fill(
    dialog,
    cover(item, title, h("h2", { id: "details-title" }, title), h("p", { class: "facts" }, facts || "Nothing else is known")),
    h("dl", { class: "statistics" }, known.map(([name, label, write]) => pair(label, write(item.statistics[name])))),
    card?.explain && why(card),
    h("h3", {}, "Similar"),
    like.length
      ? h("ul", { class: "similar" }, like.map((other) => h("li", {}, similar(dialog, other))))
      : h("p", { class: "fine" }, "Nothing similar is known yet."),
  );
}

/** @param {Card} card */
function why(card) {
  const { source_scores: scores = {}, features = {} } = card.explain ?? {};
  const telling = Object.entries(features).slice(0, TELLING);
  return [
    h("h3", {}, `Why it is at place ${card.rank}`),
    card.told && h("p", { class: "told" }, card.told.sentence, h("small", {}, SAID_BY[card.told.by])),
    h(
      "div",
      { class: "why" },
      h("div", {}, h("h4", {}, "What the sources gave"), numbers(Object.entries(scores))),
      h("div", {}, h("h4", {}, "Where it stands out"), numbers(telling)),
    ),
  ];
}

/** @param {[string, number][]} entries */
function numbers(entries) {
  if (!entries.length) return h("p", { class: "fine" }, "Nothing: no model looked at it.");
  return h("dl", {}, entries.map(([name, value]) => pair(words(name), precise(value))));
}

/**
 * @param {string} name
 * @param {string} value
 */
function pair(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {Card} other
 */
function similar(dialog, other) {
  const title = spoken(other.title, `Item ${other.item_id}`);
  const open = () => openDetails(dialog, other.item_id, undefined);
  return h("button", { type: "button", onclick: open }, cover(other, title, h("span", { class: "name" }, title)));
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {...import("./dom.js").Child} content
 */
function fill(dialog, ...content) {
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  dialog.replaceChildren(h("div", { class: "sheet" }, close, content));
  dialog.scrollTop = 0;
}
