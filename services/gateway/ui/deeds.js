// What the reader does to a card, as an event, and the wait for it to reach the features.

import { known } from "./api.js";
import { newId } from "./storage.js";

/** How long the features may take to show an event, in seconds. */
export const CATCH_UP_S = 8;
const LOOK_EVERY_MS = 200;
const TOP_RATING = 5;

/**
 * A like says what five stars say, which is what models learn from; to watch is to turn to an item, without a rating.
 *
 * @param {import("./types.js").Action} action
 * @param {import("./types.js").Card} card
 * @param {import("./types.js").Answer} shown
 * @param {string} session
 */
export function eventOf(action, card, shown, session) {
  return {
    event_id: newId(),
    type: action,
    item_id: card.item_id,
    recommendation_id: shown.recommendation_id,
    position: card.rank,
    session_id: session,
    ...(action === "like" && { value: TOP_RATING }),
  };
}

/**
 * Whether the person's history shows the item before patience ends.
 *
 * @param {import("./types.js").Person} person
 * @param {string} id
 * @param {() => boolean} isStale says when nobody waits any more
 */
export async function caught(person, id, isStale) {
  const deadline = performance.now() + CATCH_UP_S * 1000;
  while (!isStale() && performance.now() < deadline) {
    const { history } = await known(person);
    if (history.some((past) => past.item_id === id)) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return false;
}
