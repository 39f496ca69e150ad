// What the reader must know before anything else: a degraded answer, an error, a missing key.

import { h, part } from "./dom.js";
import { words } from "./format.js";

/** Takes the notice away. */
export function clearNotice() {
  part("notice").replaceChildren();
}

/**
 * An answer some stage of which was replaced.
 *
 * @param {import("./types.js").Answer} answer
 */
export function showDegraded(answer) {
  if (!answer.degraded.length) return clearNotice();
  part("notice").replaceChildren(
    h(
      "div",
      { class: "notice warning degraded", role: "status" },
      h("h3", {}, `Degraded: served by ${answer.served_by}`),
      h(
        "ul",
        {},
        answer.degraded.map(({ stage, reason, fallback }) =>
          h("li", {}, h("b", {}, words(stage)), ` was replaced by ${fallback}. ${reason}`),
        ),
      ),
    ),
  );
}

/**
 * Something could not be done.
 *
 * @param {string} sentence
 * @param {[string, () => void][]} ways out, by label
 */
export function showError(sentence, ways) {
  part("notice").replaceChildren(
    h(
      "div",
      { class: "notice error", role: "alert" },
      h("h3", {}, "That did not work"),
      h("p", {}, sentence),
      h("div", { class: "ways" }, ways.map(([label, act]) => h("button", { type: "button", onclick: act }, label))),
    ),
  );
}

/**
 * Asks for an API key.
 *
 * @param {string} why
 * @param {(key: string) => void} given
 */
export function askForKey(why, given) {
  const field = /** @type {HTMLInputElement} */ (
    h("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false" })
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (field.value.trim()) given(field.value.trim());
  };
  part("notice").replaceChildren(
    h(
      "form",
      { class: "notice access", onsubmit: submit },
      h("h3", {}, "This page needs an API key"),
      h("p", {}, why),
      h("div", { class: "row" }, h("label", { for: "key" }, "API key"), field, h("button", { class: "main" }, "Use it")),
      h("p", { class: "fine" }, "The read key shows; what you watch, like or hide is recorded with the write key only. ",
        "It is kept for this tab. On the machine itself both are in api-keys.env in the data folder."),
    ),
  );
  field.focus();
}
