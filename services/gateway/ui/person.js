// For whom the list is: a user by id, or a visitor without an account, whose id this browser makes and remembers.

import { h } from "./dom.js";
import { counted, day, spoken } from "./format.js";
import { browser, newId } from "./storage.js";

/**
 * @typedef {import("./types.js").Person} Person
 * @typedef {import("./types.js").Past} Past
 */

const SAMPLES = ["42", "1", "318", "1024", "4169"];
const KEPT_AS = "person";
const HISTORY_SHOWN = 12;

/**
 * The person in the address (#user=7), else the one this browser remembers, else the first sample.
 *
 * @returns {Person}
 */
export function firstPerson() {
  const user = new URLSearchParams(location.hash.slice(1)).get("user");
  if (user) return { kind: "user", id: user };
  try {
    const { kind, id } = JSON.parse(browser.get(KEPT_AS) ?? "");
    if ((kind === "user" || kind === "visitor") && typeof id === "string" && id) return { kind, id };
  } catch {
    browser.remove(KEPT_AS);
  }
  return { kind: "user", id: SAMPLES[0] };
}

/** @param {Person} person */
export function remember(person) {
  browser.set(KEPT_AS, JSON.stringify(person));
}

/**
 * @param {Person} person
 * @returns {string}
 */
export function nameOf(person) {
  return person.kind === "user" ? `user ${person.id}` : `visitor ${person.id.slice(0, 8)}`;
}

/**
 * The ways to choose somebody.
 *
 * @param {HTMLElement} panel
 * @param {(person: Person) => void} choose
 */
export function showChooser(panel, choose) {
  const field = /** @type {HTMLInputElement} */ (
    h("input", { id: "user-id", autocomplete: "off", spellcheck: "false", maxlength: 200, placeholder: "any id" })
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const id = field.value.trim();
    if (id) choose({ kind: "user", id });
  };
  const sample = (/** @type {string} */ id) =>
    h("button", { type: "button", class: "sample", "data-user": id, onclick: () => choose({ kind: "user", id }) }, id);
  panel.replaceChildren(
    h("h2", {}, "For whom"),
    h(
      "form",
      { class: "row", onsubmit: submit },
      h("label", { for: "user-id" }, "User id"),
      field,
      h("button", { class: "main" }, "Show"),
    ),
    h(
      "div",
      { class: "samples", role: "group", "aria-label": "Sample users" },
      SAMPLES.map(sample),
      h("button", { type: "button", class: "sample new", onclick: () => choose({ kind: "visitor", id: newId() }) }, "A new visitor"),
    ),
    h("div", { id: "known" }),
  );
}

/**
 * Marks the person whose list is shown, and waits for what is known of them.
 *
 * @param {HTMLElement} panel
 * @param {Person} person
 */
export function showChosen(panel, person) {
  for (const button of panel.querySelectorAll(".sample")) {
    const chosen = person.kind === "user" && button.getAttribute("data-user") === person.id;
    button.setAttribute("aria-pressed", String(chosen));
  }
  /** @type {HTMLInputElement} */ (panel.querySelector("#user-id")).value = person.kind === "user" ? person.id : "";
}

/**
 * What the request knew of the person.
 *
 * @param {HTMLElement} panel
 * @param {Person} person
 * @param {import("./types.js").Trace} trace
 * @param {Past[]} history newest first; with ratings where they are known
 */
export function showKnown(panel, person, trace, history) {
  const { profile, seen, hidden, cold } = trace.user;
  const place = /** @type {HTMLElement} */ (panel.querySelector("#known"));
  const wasOpen = /** @type {HTMLDetailsElement | null} */ (place.querySelector("details"))?.open;
  const open = wasOpen ?? matchMedia("(min-width: 1200px)").matches;
  place.replaceChildren(
    h(
      "div",
      { class: "who" },
      h("span", { class: "avatar", "aria-hidden": "true" }, person.kind === "user" && person.id.length <= 4 ? person.id : nameOf(person)[0].toUpperCase()),
      h("div", {}, h("h3", {}, nameOf(person)), h("p", {}, cold && "Nothing is known of their taste yet. ", (seen > 0 || hidden > 0) && `${counted(seen)} seen, ${counted(hidden)} hidden`)),
    ),
    h("dl", { class: "profile" }, Object.entries(profile).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    history.length
      ? h("details", { open }, h("summary", {}, `Turned to last`), h("ol", { class: "history" }, history.slice(0, HISTORY_SHOWN).map(past)))
      : h("p", { class: "fine" }, "Watch or like something: it shows here within a second or two, and the list follows."),
  );
}

/** @param {Past} entry */
function past({ title, item_id, ts, value }) {
  const name = spoken(title, `Item ${item_id}`);
  return h(
    "li",
    { title: ts ? day(ts) : undefined },
    h("span", { class: "name" }, name),
    value !== null && h("span", { class: "rating", "aria-label": `rated ${value} of 5` }, `${value}★`),
  );
}
