// How a sentence was read, piece by piece, and by whom.

import { h } from "./dom.js";
import { ms, spoken } from "./format.js";

/** @typedef {import("./types.js").Understood} Understood */

/** Rules read within a few milliseconds: what took longer waited for the model. */
const RULES_MS = 100;
const ORDERS = { newest: "newest first", oldest: "oldest first", best: "best rated first", popular: "most watched first" };

/**
 * The query as chips, who read it, and what had to be given up.
 *
 * @param {Understood} query
 */
export function understood(query) {
  const pieces = piecesOf(query);
  return h(
    "div",
    { class: "understood" },
    pieces.length > 0 && [
      h("h3", { id: "read-as" }, "Read as"),
      h("ul", { class: "chips", "aria-labelledby": "read-as" }, pieces.map(([kind, label, value]) => piece(kind, label, value))),
    ],
    h("p", { class: "fine reader" }, reader(query)),
    query.given_up && h("p", { class: "given-up" }, `Nothing fits all of it. ${query.given_up}`),
  );
}

/**
 * @param {Understood} query
 * @returns {[string, string, string][]} kind, its label, what was understood
 */
function piecesOf(query) {
  const either = query.any_genre && query.genres.length > 1;
  return [
    ...query.title.map((title) => chip("title", "title", spoken(title))),
    ...(either ? [chip("genre", "any of", query.genres.join(", "))] : query.genres.map((genre) => chip("genre", "genre", genre))),
    ...query.not_genres.map((genre) => chip("unwanted", "not", genre)),
    ...(query.years ? [chip("years", "years", range(query.years))] : []),
    ...query.not_years.map((years) => chip("unwanted", "not", range(years))),
    ...query.people.map((name) => chip("people", "by", name)),
    ...query.like.map((title) => chip("like", "like", spoken(title))),
    ...(query.sort ? [chip("sort", "order", ORDERS[query.sort])] : []),
    ...(query.n ? [chip("count", "at most", String(query.n))] : []),
    ...(query.text && !query.title.length ? [chip("words", "words", `“${query.text}”`)] : []),
  ];
}

/**
 * @param {string} kind
 * @param {string} label
 * @param {string} value
 * @returns {[string, string, string]}
 */
function chip(kind, label, value) {
  return [kind, label, value];
}

/**
 * @param {string} kind
 * @param {string} label
 * @param {string} value
 */
function piece(kind, label, value) {
  return h("li", { class: `chip piece ${kind}`, "data-kind": kind }, h("span", { class: "label" }, label), " ", h("b", {}, value));
}

/** @param {[number | null, number | null]} years */
function range([first, last]) {
  if (first === last) return String(first);
  if (first === null) return `until ${last}`;
  return last === null ? `from ${first} on` : `${first}–${last}`;
}

/**
 * Who read it, and how long that took.
 *
 * @param {Understood} query
 */
export function reader(query) {
  const within = `in ${ms(query.milliseconds)}`;
  if (!piecesOf(query).length) return `Nothing in it was understood, ${within}: the ranker chose from everything.`;
  if (query.by_model) return `Read by rule and by a language model, ${within}: the model chose ${byModel(query)}.`;
  if (query.milliseconds > RULES_MS) return `Read by rule; a language model was asked too and added nothing, ${within}.`;
  return `Read by rule, ${within}${query.text && !query.by_words ? "; words are not searched for yet" : ""}.`;
}

/**
 * What the model added: it is asked for genres where rules found none, and the parser's spans tell what rules found.
 *
 * @param {Understood} query
 */
function byModel(query) {
  const ruled = new Set(query.spans.map(({ kind }) => kind));
  const added = [...(ruled.has("genre") ? [] : query.genres), ...(query.years && !ruled.has("years") ? [range(query.years)] : [])];
  return added.join(", ") || "what was given up again";
}
