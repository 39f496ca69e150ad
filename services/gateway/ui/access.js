// Keys, and what is told to a reader whom the gateway refuses.

import { hasKey, useKey } from "./api.js";
import { askForKey, clearNotice, showError } from "./notice.js";

/**
 * Asks for a key.
 *
 * @param {string} why
 * @param {() => void} given what to do with it
 */
export function keyForm(why, given) {
  askForKey(why, (key) => {
    useKey(key);
    clearNotice();
    given();
  });
}

/**
 * What the gateway refused, with ways out.
 *
 * @param {import("./api.js").Refused} error
 * @param {() => void} again tries the same again
 * @param {() => void} given what to do once there is another key
 */
export function showRefusal(error, again, given) {
  if (error.status === 401) return keyForm(hasKey() ? "The key was not accepted." : error.message, given);
  const other = () => keyForm("Give the key that may do this.", given);
  const ways = /** @type {[string, () => void][]} */ ([["Try again", again]]);
  if (error.status === 403) ways.push(["Use another key", other]);
  showError(error.message, ways);
}

/** A key in the address is taken for this tab and removed from where it could be seen and kept. */
export function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  useKey(given);
  history.replaceState(null, "", location.pathname + location.search);
}
