// The shown items in three orders: as retrieval proposed them, as the ranker scored them, as the slate shows them.

import { h } from "./dom.js";
import { decimal, spoken, words } from "./format.js";

/**
 * @typedef {import("./types.js").Trace} Trace
 * @typedef {import("./types.js").Candidate} Candidate
 */

/** @param {Trace} trace */
export function comparison(trace) {
  if (!trace.items.length) return h("p", { class: "fine" }, "Nothing was shown.");
  const retrieved = places(trace.candidates);
  const ranked = places([...trace.candidates].sort((one, other) => worth(other) - worth(one)));
  const candidates = new Map(trace.candidates.map((candidate) => [candidate.item_id, candidate]));
  const heads = ["Item", "Retrieval", "Ranker", "Slate"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "table",
    { class: "comparison" },
    h("thead", {}, h("tr", {}, heads)),
    h(
      "tbody",
      {},
      trace.items.map((item) => {
        const title = spoken(item.title, `Item ${item.item_id}`);
        const [source, score] = best(candidates.get(item.item_id));
        return h(
          "tr",
          { "data-item": item.item_id },
          h("th", { scope: "row", title }, title),
          place(retrieved.get(item.item_id), score, source && `score of ${words(source)}`),
          place(ranked.get(item.item_id), item.score, "score of the ranker"),
          place(item.rank, null, ""),
        );
      }),
    ),
  );
}

/**
 * @param {number | undefined} rank
 * @param {number | null} score
 * @param {string} meaning
 */
function place(rank, score, meaning) {
  return h("td", { title: meaning }, h("b", {}, rank ?? "–"), score !== null && h("small", {}, decimal(score)));
}

/**
 * The first source that proposed a candidate, and its score where it gave one.
 *
 * @param {Candidate | undefined} candidate
 * @returns {[string, number | null]}
 */
function best(candidate) {
  const source = candidate?.sources.find((name) => name in candidate.source_scores);
  return candidate && source ? [source, candidate.source_scores[source]] : ["", null];
}

/**
 * @param {Candidate[]} candidates
 * @returns {Map<string, number>} 1 is the top
 */
function places(candidates) {
  return new Map(candidates.map(({ item_id: id }, index) => [id, index + 1]));
}

/** @param {Candidate} candidate */
function worth({ score }) {
  return score ?? Number.NEGATIVE_INFINITY;
}
