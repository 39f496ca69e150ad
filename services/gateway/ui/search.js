// Asking in words: the field, the way back, and how the sentence was understood.

import { part } from "./dom.js";
import { listenToSlash } from "./keyboard.js";
import { reader, understood } from "./understood.js";

/**
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {import("./cards.js").None} None
 */

const field = /** @type {HTMLInputElement} */ (part("wish"));
let asked = "";
let shown = "";

/** What is asked for; empty while recommendations are shown. */
export function wish() {
  return asked;
}

/**
 * @param {() => void} changed something else is asked for
 */
export function listenToWishes(changed) {
  part("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const sentence = field.value.trim();
    if (sentence) become(sentence, changed);
    else leave(changed);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    leave(changed);
  });
  part("back").addEventListener("click", () => leave(changed));
  listenToSlash(field);
}

/**
 * Goes back to the recommendations.
 *
 * @param {() => void} changed
 */
export function leave(changed) {
  field.value = "";
  // What is pressed to come here goes away: the focus must not.
  if (document.activeElement !== field) part("recommendations").focus({ preventScroll: true });
  if (asked) become("", changed);
}

/**
 * @param {string} sentence
 * @param {() => void} changed
 */
function become(sentence, changed) {
  asked = sentence;
  part("back").hidden = !sentence;
  part("why").hidden = Boolean(sentence);
  changed();
}

/**
 * How the answer's sentence was read; nothing for one without a sentence, or while there is none. Written anew only where
 * it is read differently, for it is said aloud.
 *
 * @param {Answer | null} answer
 */
export function showUnderstood(answer) {
  const query = answer?.query;
  const now = query ? JSON.stringify({ ...query, milliseconds: 0 }) : "";
  if (query && now === shown) {
    /** @type {Element} */ (part("understood").querySelector(".reader")).textContent = reader(query);
    return;
  }
  shown = now;
  part("understood").replaceChildren(...(query ? [understood(query)] : []));
}

/**
 * What stands in the list when nothing was found.
 *
 * @param {() => void} changed
 * @returns {None}
 */
export function nothingFound(changed) {
  return {
    head: `Nothing was found for “${asked}”`,
    body: "Not even with wider wishes. Say it in other words, or see what is recommended.",
    ways: [["Back to recommendations", () => leave(changed)]],
  };
}
