// What is different between two lists, and the sentence that says so.

import { counted, isBecauseOf, many, spoken } from "./format.js";

/**
 * @typedef {import("./types.js").Card} Card
 * @typedef {import("./types.js").Action} Action
 * @typedef {{action: Action, card: Card}} Deed  What the reader just did.
 * @typedef {object} Changes
 * @property {Set<string>} came ids that were not there before
 * @property {Map<string, number>} moved places gained by id; negative for lost
 * @property {number} left how many are gone
 */

const DONE = { watch: "watched", like: "liked", hide: "hid" };

/**
 * @param {Card[]} before
 * @param {Card[]} after
 * @returns {Changes}
 */
export function difference(before, after) {
  const places = new Map(before.map((card) => [card.item_id, card.rank]));
  const came = new Set(after.filter((card) => !places.has(card.item_id)).map((card) => card.item_id));
  const moved = new Map(
    after
      .map((card) => /** @type {[string, number]} */ ([card.item_id, (places.get(card.item_id) ?? card.rank) - card.rank]))
      .filter(([, gained]) => gained !== 0),
  );
  return { came, moved, left: before.length - (after.length - came.size) };
}

/**
 * Said when the list was asked for again, right after the event was acknowledged.
 *
 * @param {Deed} deed
 * @param {boolean} isGone whether the item left the list
 */
export function atOnce({ action, card }, isGone) {
  const left = isGone ? "It left the list at once." : "It is still in the list.";
  const rest = action === "hide" ? " It will not come back." : " Your features are catching up…";
  return `You ${DONE[action]} ${spoken(card.title)}. ${left}${rest}`;
}

/**
 * Said when the event has reached the features that models read.
 *
 * @param {Deed} deed
 * @param {Changes} changes since before the deed
 * @param {Card[]} items the list now
 * @param {number} seconds since the deed
 */
export function caughtUp({ action, card }, changes, items, seconds) {
  const title = spoken(card.title);
  const because = card.title ? items.filter((item) => isBecauseOf(item, String(card.title))).length : 0;
  const moved = changes.moved.size > 0 ? ` and ${changes.moved.size} moved` : "";
  const named = because > 0 ? ` ${because} of ${items.length} are here because of it.` : "";
  const when = ` Your features were fresh after ${seconds.toFixed(1)} s.`;
  return `${changes.came.size} new${moved} after you ${DONE[action]} ${title}.${named}${when}`;
}

/**
 * Said when the features did not catch up in time.
 *
 * @param {Deed} deed
 * @param {number} seconds waited
 */
export function stillBehind({ action, card }, seconds) {
  return `You ${DONE[action]} ${spoken(card.title)}, but after ${seconds} s your features do not show it. Is ingest running?`;
}

/**
 * @param {import("./types.js").Answer} answer
 * @param {string} whom
 */
export function listed({ items, query }, whom) {
  return `${query ? `${counted(items.length)} found` : many(items.length, "recommendation")} for ${whom}.`;
}
