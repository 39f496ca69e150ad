// The gateway's REST surface, as far as the page calls it.
//
// Access is a cookie that the page itself came with, or an API key the reader gave for this tab.

import { tab } from "./storage.js";
import { events } from "./stream.js";

/** @typedef {import("./types.js").Person} Person */

const PATIENCE_MS = 10_000;
/** For a whole stream. */
const LONG_PATIENCE_MS = 60_000;
const KEY = "key";

/** The gateway said no, or nothing; `message` is a sentence for the reader, `status` is 0 where nothing came back. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} sentence
   */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Whether a call without a key can succeed, as far as the page knows. */
export function needsKey() {
  return document.documentElement.dataset.access !== "open" && !hasKey();
}

/** Whether the reader gave a key. */
export function hasKey() {
  return tab.get(KEY) !== null;
}

/** @param {string | null} key null forgets it */
export function useKey(key) {
  if (key === null) tab.remove(KEY);
  else tab.set(KEY, key);
}

/**
 * What this person should see next.
 *
 * @param {Person} person
 * @param {string} session
 * @param {number} n
 * @returns {Promise<import("./types.js").Answer>}
 */
export function recommend(person, session, n) {
  return post("/v1/recommendations", { ...who(person), session_id: session, n, explain: true });
}

/**
 * What there is for a sentence, in the best order for this person.
 *
 * @param {Person} person
 * @param {string} session
 * @param {string} query
 * @returns {Promise<import("./types.js").Answer>}
 */
export function search(person, session, query) {
  return post("/v1/search", { user_id: userOf(person), session_id: session, query, explain: true });
}

/**
 * Why each item of a recommendation was recommended, one after the other.
 *
 * @param {string} id of the recommendation
 * @param {AbortSignal} signal ends it
 * @returns {AsyncGenerator<import("./types.js").Explanation>}
 */
export async function* explanations(id, signal) {
  const response = await answered(`/v1/requests/${encodeURIComponent(id)}/explanations`, { signal }, LONG_PATIENCE_MS);
  try {
    for await (const { name, data } of events(response)) if (name === "explanation") yield data;
  } catch {
    throw new Refused(0, "The gateway stopped in the middle of its explanations.");
  }
}

/**
 * @param {string} id of the recommendation
 * @returns {Promise<import("./types.js").Trace>}
 */
export function trace(id) {
  return asked(`/v1/requests/${encodeURIComponent(id)}/trace`);
}

/**
 * @param {Person} person
 * @returns {Promise<import("./types.js").Known>}
 */
export function known(person) {
  return asked(`/v1/users/${encodeURIComponent(userOf(person))}`);
}

/**
 * @param {string} id
 * @returns {Promise<import("./types.js").Item>}
 */
export function item(id) {
  return asked(`/v1/items/${encodeURIComponent(id)}`);
}

/**
 * @param {string} id
 * @param {number} n
 * @returns {Promise<{items: import("./types.js").Card[]}>}
 */
export function similar(id, n) {
  return asked(`/v1/items/${encodeURIComponent(id)}/similar?n=${n}`);
}

/**
 * Resolves once the event log holds the event.
 *
 * @param {Person} person
 * @param {Record<string, any>} event
 */
export function report(person, event) {
  return post("/v1/events", { events: [{ ...who(person), ...event }] });
}

/** @param {Person} person */
function who(person) {
  return person.kind === "user" ? { user_id: person.id } : { anonymous_id: person.id };
}

/**
 * A visitor's place among the users.
 *
 * @param {Person} person
 */
function userOf(person) {
  return person.kind === "user" ? person.id : `anonymous:${person.id}`;
}

/**
 * @param {string} path
 * @param {Record<string, any>} body
 */
function post(path, body) {
  return asked(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 */
async function asked(path, options) {
  return (await answered(path, options)).json();
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @param {number} [patience] milliseconds, for all of the body
 */
async function answered(path, options = {}, patience = PATIENCE_MS) {
  let response = await sent(path, options, patience);
  if (response.status === 401 && !hasKey()) {
    // The gateway was started anew and no longer knows the cookie: the page brings the present one.
    await renewed();
    response = await sent(path, options, patience);
  }
  if (!response.ok) throw new Refused(response.status, await sentence(response));
  return response;
}

/** @type {Promise<unknown> | null} */
let renewal = null;

function renewed() {
  renewal ??= sent("/", {}, PATIENCE_MS).finally(() => (renewal = null));
  return renewal;
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} patience
 */
async function sent(path, options, patience) {
  const key = tab.get(KEY);
  const headers = { ...options.headers, ...(key !== null && { "X-API-Key": key }) };
  const signals = [AbortSignal.timeout(patience), ...(options.signal ? [options.signal] : [])];
  try {
    return await fetch(path, { ...options, headers, signal: AbortSignal.any(signals) });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const what = late ? `did not answer within ${patience / 1000} s` : "cannot be reached";
    throw new Refused(0, `The gateway ${what}. Is the stack still running?`);
  }
}

/**
 * The sentence of a problem document, or one of our own.
 *
 * @param {Response} response
 */
async function sentence(response) {
  try {
    return String((await response.json()).detail);
  } catch {
    return `The gateway answered with status ${response.status}.`;
  }
}
