// Why these: a sentence on every card as the gateway tells them one by one. Nothing waits for them; without them the
// cards are as good as before.

import { Refused, explanations } from "./api.js";
import { find } from "./cards.js";
import { h } from "./dom.js";
import { browser } from "./storage.js";

/**
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {import("./types.js").Explanation} Explanation
 */

export const SAID_BY = {
  model: "✦ Phrased by a language model; its title, year, genres and claims were checked against the facts.",
  template: "Said by rule, from the ranker's reasons: no language model had a better sentence in time.",
};
const KEPT_AS = "why";
/** A list that is left sooner than this costs the language model nothing. */
const SETTLED_MS = 350;

let ended = new AbortController();

/** Whether the reader wants sentences; until told otherwise, yes. */
function wanted() {
  return browser.get(KEPT_AS) !== "off";
}

/**
 * Lets a button switch them on and off; this browser remembers.
 *
 * @param {HTMLElement} button
 * @param {HTMLElement} list
 * @param {() => void} changed
 */
export function listenToWhy(button, list, changed) {
  button.setAttribute("aria-pressed", String(wanted()));
  list.classList.toggle("explained", wanted());
  button.addEventListener("click", () => {
    browser.set(KEPT_AS, wanted() ? "off" : "on");
    button.setAttribute("aria-pressed", String(wanted()));
    changed();
  });
}

/**
 * Ends the sentences of a list that is about to change.
 *
 * @param {HTMLElement} list
 */
export function hush(list) {
  ended.abort();
  list.classList.remove("telling");
}

/**
 * Writes the sentences on the cards, for as long as the list is this answer's. A search tells by itself why.
 *
 * @param {HTMLElement} list
 * @param {Answer} answer
 */
export async function explain(list, answer) {
  hush(list);
  const told = wanted() && !answer.query && answer.items.length > 0;
  list.classList.toggle("explained", told);
  if (!told) return;
  ended = new AbortController();
  const { signal } = ended;
  list.classList.add("telling");
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  if (signal.aborted) return;
  const cards = new Map(answer.items.map((card) => [card.item_id, card]));
  try {
    for await (const explanation of explanations(answer.recommendation_id, signal)) {
      if (signal.aborted) return;
      const card = cards.get(explanation.item_id);
      if (!card) continue;
      card.told = explanation;
      show(list, explanation);
    }
  } catch (error) {
    // The rest of the cards have no sentence, and that is all.
    if (!(error instanceof Refused)) throw error;
  }
  if (!signal.aborted) list.classList.remove("telling");
}

/**
 * @param {HTMLElement} list
 * @param {Explanation} explanation
 */
function show(list, { item_id, sentence, by }) {
  const place = find(list, item_id)?.querySelector(".sentence");
  if (!place) return;
  place.setAttribute("title", `${sentence}\n${SAID_BY[by]}`);
  place.classList.add(by);
  place.replaceChildren(sentence, by === "model" ? h("span", { class: "mark", "aria-hidden": "true" }, "\u00a0✦") : "");
}
