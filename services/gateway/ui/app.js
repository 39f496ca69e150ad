// The page: somebody is chosen, asks, sees, acts, and sees what that changed.

import * as api from "./api.js";
import { setBusy, showCards, showSkeletons } from "./cards.js";
import { atOnce, caughtUp, difference, listed, stillBehind } from "./changes.js";
import { CATCH_UP_S, caught, eventOf } from "./deeds.js";
import { closable, openDetails } from "./details.js";
import { part } from "./dom.js";
import { showFunnel, showFunnelSkeleton, showNoFunnel } from "./funnel.js";
import { listenToKeys } from "./keyboard.js";
import { askForKey, clearNotice, showDegraded, showError } from "./notice.js";
import { firstPerson, nameOf, remember, showChooser, showChosen, showKnown } from "./person.js";
import { newId, tab } from "./storage.js";

/**
 * @typedef {import("./types.js").Card} Card
 * @typedef {import("./types.js").Action} Action
 * @typedef {import("./types.js").Person} Person
 * @typedef {import("./types.js").Answer} Answer
 */

const SHOWN = 12;

const list = part("cards");
const panel = part("person");
const funnel = part("funnel");
const dialog = /** @type {HTMLDialogElement} */ (part("details"));
const handlers = { act, open: (/** @type {Card} */ card) => openDetails(dialog, card.item_id, card) };

let person = firstPerson();
/** @type {Answer | null} */
let answer = null;
/** Grows with everything the reader asks for; what belongs to an older turn is dropped. */
let turn = 0;

/** The visit, as the impressions and events of this tab name it. */
function session() {
  const kept = tab.get("session") ?? newId();
  tab.set("session", kept);
  return kept;
}

/** @param {string} sentence */
function say(sentence) {
  part("status").textContent = sentence;
}

/** @param {Person} chosen */
function choose(chosen) {
  person = chosen;
  remember(person);
  showChosen(panel, person);
  answer = null;
  showSkeletons(list);
  showFunnelSkeleton(funnel);
  say("");
  ask();
}

/** Asks for the list anew; what changed since the last answer is marked. */
function ask() {
  turn += 1;
  const now = turn;
  return attempted(ask, async () => {
    await showAnswer(now, answer?.items ?? null);
    if (now === turn && answer) say(listed(answer.items.length, nameOf(person)));
  });
}

/**
 * @param {number} now the turn this belongs to
 * @param {Card[] | null} before what to compare with
 */
async function showAnswer(now, before) {
  const whom = person;
  const given = await api.recommend(whom, session(), SHOWN);
  if (now !== turn) return;
  answer = given;
  showDegraded(given);
  showCards(list, given.items, before && difference(before, given.items), handlers);
  part("list-title").textContent = `Recommended for ${nameOf(whom)}`;
  await showBehind(now, whom, given);
}

/**
 * The funnel of the answer, and what it knew of the person.
 *
 * @param {number} now
 * @param {Person} whom
 * @param {Answer} given
 */
async function showBehind(now, whom, given) {
  try {
    const trace = await api.trace(given.recommendation_id);
    if (now !== turn) return;
    showFunnel(funnel, trace, !api.hasKey());
    const untitled = trace.user.history.map((id) => ({ item_id: id, title: trace.titles[id] ?? null, ts: "", value: null }));
    showKnown(panel, whom, trace, untitled.reverse());
    const { cold, profile, seen, hidden } = trace.user;
    if (cold && !seen && !hidden && !Object.keys(profile).length) return;
    const known = await api.known(whom);
    if (now === turn) showKnown(panel, whom, trace, known.history);
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (now === turn && funnel.getAttribute("aria-busy")) showNoFunnel(funnel, error.message);
  }
}

/**
 * Posts what the reader did, asks again at once, and once more when the features have caught up.
 *
 * @param {Action} action
 * @param {Card} card
 */
function act(action, card) {
  const shown = answer;
  if (!shown) return;
  turn += 1;
  const now = turn;
  const started = performance.now();
  setBusy(list, card.item_id, true);
  attempted(
    () => act(action, card),
    async () => {
      await api.report(person, eventOf(action, card, shown, session()));
      if (now !== turn) return;
      await showAnswer(now, shown.items);
      if (now !== turn || !answer) return;
      const deed = { action, card };
      say(atOnce(deed, !answer.items.some((item) => item.item_id === card.item_id)));
      if (action === "hide") return;
      const fresh = await caught(person, card.item_id, () => now !== turn);
      if (now !== turn) return;
      if (!fresh) return say(stillBehind(deed, CATCH_UP_S));
      const seconds = (performance.now() - started) / 1000;
      await showAnswer(now, shown.items);
      if (now === turn && answer) say(caughtUp(deed, difference(shown.items, answer.items), answer.items, seconds));
    },
  ).finally(() => setBusy(list, card.item_id, false));
}

/**
 * Runs what asks the gateway; what it refuses is told, with ways out.
 *
 * @param {() => void} again
 * @param {() => Promise<void>} run
 */
async function attempted(again, run) {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (!answer) list.replaceChildren();
    if (!answer) showNoFunnel(funnel, "There is no answer yet whose way could be shown.");
    if (error.status === 401) return keyForm(api.hasKey() ? "The key was not accepted." : error.message);
    const other = () => keyForm("Give the key that may do this.");
    showError(error.message, [["Try again", again], ...(error.status === 403 ? [/** @type {[string, () => void]} */ (["Use another key", other])] : [])]);
  }
}

/** @param {string} why */
function keyForm(why) {
  askForKey(why, (key) => {
    api.useKey(key);
    clearNotice();
    choose(person);
  });
}

/** A key in the address is taken for this tab and removed from where it could be seen and kept. */
function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  api.useKey(given);
  history.replaceState(null, "", location.pathname + location.search);
}

takeKeyFromAddress();
listenToKeys(list);
closable(dialog);
part("again").addEventListener("click", ask);
showChooser(panel, choose);
showChosen(panel, person);
if (api.needsKey()) keyForm("The gateway was told to ask for one, or this page was opened under a name that the gateway does not know.");
else choose(person);
