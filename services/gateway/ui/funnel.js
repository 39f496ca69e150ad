// The funnel of one request, from its trace: who proposed, what was removed, how the order came about, what it cost.

import { h } from "./dom.js";
import { counted, ms, spoken, words } from "./format.js";
import { comparison } from "./comparison.js";
import { timing } from "./timing.js";

/**
 * @typedef {import("./types.js").Trace} Trace
 * @typedef {import("./types.js").Removed} Removed
 */

const NAMED = 60;

/**
 * @param {HTMLElement} panel
 * @param {Trace} trace
 * @param {boolean} linked whether the browser may open the trace by itself
 */
export function showFunnel(panel, trace, linked) {
  const opened = new Set([...panel.querySelectorAll("details[open]")].map((each) => each.getAttribute("data-name")));
  panel.removeAttribute("aria-busy");
  panel.replaceChildren(
    h(
      "div",
      { class: "funnel-head" },
      h("h2", {}, "The funnel of this request"),
      h("p", { class: `served ${trace.served_by}` }, "served ", h("b", {}, trace.served_by)),
    ),
    shape(trace),
    stage("Candidates", "kept of proposed, by source", sources(trace)),
    stage("Filters", "what must not be shown", removals(trace.removed, trace, "filter")),
    stage("Ranking", "place and score, before and after", comparison(trace)),
    stage("Rules", "from the short list to the slate", rules(trace)),
    stage("Time", `budget ${trace.request.deadline_ms} ms`, timing(trace)),
    stage("Versions", "behind this answer", versions(trace, linked)),
  );
  for (const each of panel.querySelectorAll("details")) each.open = opened.has(each.getAttribute("data-name"));
}

/** @param {HTMLElement} panel */
export function showFunnelSkeleton(panel) {
  panel.setAttribute("aria-busy", "true");
  const bars = Array.from({ length: 6 }, () => h("div", { class: "skeleton bar" }));
  panel.replaceChildren(h("h2", {}, "The funnel of this request"), ...bars);
}

/**
 * @param {HTMLElement} panel
 * @param {string} sentence
 */
export function showNoFunnel(panel, sentence) {
  panel.removeAttribute("aria-busy");
  panel.replaceChildren(h("h2", {}, "The funnel of this request"), h("p", { class: "fine" }, sentence));
}

/**
 * @param {string} name
 * @param {string} what
 * @param {...import("./dom.js").Child} content
 */
function stage(name, what, ...content) {
  return h("section", { class: "stage" }, h("h3", {}, name, " ", h("small", {}, what)), content);
}

/** @param {Trace} trace */
function shape(trace) {
  const proposed = trace.sources.reduce((sum, source) => sum + source.proposed, 0);
  const first = trace.rules[0];
  const shortlist = first ? first.kept + first.removed.reduce((sum, group) => sum + group.item_ids.length, 0) : 0;
  const steps = /** @type {[string, number][]} */ ([
    ["proposals", proposed],
    ["candidates, all scored", trace.candidates.length],
    ["short list", shortlist],
    ["shown", trace.items.length],
  ]).filter(([, count]) => count > 0);
  const most = Math.max(1, ...steps.map(([, count]) => count));
  return h(
    "ol",
    { class: "shape" },
    steps.map(([name, count]) =>
      h("li", { "data-step": name }, h("span", { vars: { "--share": Math.sqrt(count / most) } }, h("b", {}, counted(count)), ` ${name}`)),
    ),
  );
}

/** @param {Trace} trace */
function sources(trace) {
  if (trace.surface === "search") return h("p", { class: "fine" }, "Found by what the sentence says, in the text and vector index: no source proposes to a search.");
  const most = Math.max(1, ...trace.sources.map((source) => source.proposed));
  return h(
    "ul",
    { class: "sources" },
    trace.sources.map(({ source, proposed, kept, milliseconds, error }) =>
      h(
        "li",
        { "data-source": source, vars: { "--proposed": proposed / most, "--kept": kept / most } },
        h("span", { class: `chip ${source}` }, words(source)),
        h("span", { class: "numbers" }, h("b", {}, counted(kept)), ` of ${counted(proposed)}`),
        h("span", { class: "cost" }, ms(milliseconds)),
        h("span", { class: `track ${source}`, "aria-hidden": "true" }, h("i"), h("i")),
        error && h("p", { class: "failed" }, error),
      ),
    ),
  );
}

/**
 * @param {Removed[]} groups
 * @param {Trace} trace
 * @param {string} where
 */
function removals(groups, trace, where) {
  if (!groups.length) return h("p", { class: "fine" }, "Nothing was removed.");
  return groups.map(({ reason, item_ids: ids }) => {
    if (!ids.length) return h("p", { class: "fine" }, reason);
    const rest = ids.length - NAMED;
    return h(
      "details",
      { "data-name": `${where} ${reason}`, "data-reason": reason },
      h("summary", {}, h("b", {}, counted(ids.length)), ` ${reason}`),
      h(
        "ul",
        { class: "names" },
        ids.slice(0, NAMED).map((id) => h("li", {}, spoken(trace.titles[id], `Item ${id}`))),
        rest > 0 && h("li", {}, `and ${counted(rest)} more`),
      ),
    );
  });
}

/** @param {Trace} trace */
function rules(trace) {
  if (!trace.rules.length) return h("p", { class: "fine" }, "No rule was applied.");
  return h(
    "ul",
    { class: "rules" },
    trace.rules.map(({ rule, kept, removed, milliseconds }) => {
      const gone = removed.reduce((sum, group) => sum + group.item_ids.length, 0);
      return h(
        "li",
        { "data-rule": rule },
        h("span", { class: "name" }, words(rule)),
        h("span", { class: "numbers" }, gone > 0 && h("b", {}, `${counted(gone)} out, `), `${counted(kept)} kept`),
        h("span", { class: "cost" }, ms(milliseconds)),
        removed.length > 0 && h("div", { class: "removed" }, removals(removed, trace, rule)),
      );
    }),
  );
}

/**
 * @param {Trace} trace
 * @param {boolean} linked
 */
function versions(trace, linked) {
  const pairs = [
    ...Object.entries(trace.model_versions).map(([name, version]) => [words(name), `version ${version}`]),
    ...trace.experiments.map(({ key, variant }) => [`experiment: ${words(key)}`, variant]),
  ];
  const id = trace.recommendation_id;
  return [
    h("dl", { class: "versions" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("p", { class: "identifier" }, linked ? h("a", { href: `/v1/requests/${encodeURIComponent(id)}/trace` }, id) : id),
  ];
}
