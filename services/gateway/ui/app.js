// The page: somebody is chosen, asks in words or for whatever is best, sees, acts, and sees what that changed.

import { keyForm, showRefusal, takeKeyFromAddress } from "./access.js";
import * as api from "./api.js";
import { setBusy, showCards, showSkeletons } from "./cards.js";
import { atOnce, caughtUp, difference, listed, stillBehind } from "./changes.js";
import { CATCH_UP_S, caught, eventOf } from "./deeds.js";
import { closable, openDetails } from "./details.js";
import { part } from "./dom.js";
import { showFunnel, showFunnelSkeleton, showNoFunnel } from "./funnel.js";
import { listenToKeys } from "./keyboard.js";
import { showDegraded } from "./notice.js";
import { firstPerson, nameOf, remember, showChooser, showChosen, showKnown } from "./person.js";
import { listenToWishes, nothingFound, showUnderstood, wish } from "./search.js";
import { newId, tab } from "./storage.js";
import { explain, hush, listenToWhy } from "./why.js";

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
  afresh();
}

/** Asks for a list that has nothing to do with the one before. */
function afresh() {
  answer = null;
  showSkeletons(list);
  showFunnelSkeleton(funnel);
  say("");
  ask();
}

/** What belongs to an older turn is of no interest any more. */
function nextTurn() {
  turn += 1;
  hush(list);
  return turn;
}

/** Asks for the list anew; what changed since the last answer is marked. */
function ask() {
  const now = nextTurn();
  return attempted(ask, async () => {
    await showAnswer(now, answer?.items ?? null);
    if (now === turn && answer) say(listed(answer, nameOf(person)));
  });
}

/**
 * @param {number} now the turn this belongs to
 * @param {Card[] | null} before what to compare with
 */
async function showAnswer(now, before) {
  const whom = person;
  const words = wish();
  const given = await (words ? api.search(whom, session(), words) : api.recommend(whom, session(), SHOWN));
  if (now !== turn) return;
  answer = given;
  showDegraded(given);
  showUnderstood(given);
  showCards(list, given.items, before && difference(before, given.items), handlers, words ? nothingFound(afresh) : undefined);
  showTitle();
  explain(list, given);
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
  const now = nextTurn();
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
  const now = turn;
  try {
    await run();
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (now !== turn) return;
    if (!answer) showNothing();
    showRefusal(error, again, restart);
  }
}

function showTitle() {
  const words = wish();
  part("list-title").textContent = words ? `“${words}” for ${nameOf(person)}` : `Recommended for ${nameOf(person)}`;
}

/** While there is no answer. */
function showNothing() {
  showTitle();
  list.replaceChildren();
  showUnderstood(null);
  showNoFunnel(funnel, "There is no answer yet whose way could be shown.");
}

/** With the person there is. */
function restart() {
  choose(person);
}

takeKeyFromAddress();
listenToKeys(list);
closable(dialog);
part("again").addEventListener("click", ask);
listenToWishes(afresh);
listenToWhy(part("why"), list, () => answer && explain(list, answer));
showChooser(panel, choose);
showChosen(panel, person);
if (api.needsKey()) keyForm("The gateway was told to ask for one, or this page was opened under a name that the gateway does not know.", restart);
else restart();
