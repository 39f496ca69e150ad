// Where the milliseconds went, against the budget of the request.

import { h } from "./dom.js";
import { ms, words } from "./format.js";

const TOTAL = "total";
// Of a search: its budget begins when there is a list to put in order.
const BEFORE = ["reading", "finding"];

/** @param {import("./types.js").Trace} trace */
export function timing(trace) {
  const { [TOTAL]: total = 0, ...stages } = trace.timings_ms;
  const before = BEFORE.reduce((sum, stage) => sum + (stages[stage] ?? 0), 0);
  const budget = Math.round(trace.request.deadline_ms + before);
  const spent = Object.values(stages).reduce((sum, value) => sum + value, 0);
  const rows = [...Object.entries(stages), ["gateway", Math.max(0, total - spent)]];
  const longest = Math.max(0.001, ...rows.map(([, value]) => Number(value)));
  return [
    h(
      "div",
      { class: total > budget ? "budget over" : "budget", role: "img", "aria-label": `${ms(total)} of ${budget} ms` },
      rows.map(([name, value]) => h("i", { class: String(name), vars: { "--share": Math.min(1, Number(value) / budget) } })),
    ),
    h("p", { class: "total" }, h("b", {}, ms(total)), ` of ${budget} ms`),
    h(
      "ul",
      { class: "times" },
      rows.map(([name, value]) =>
        h(
          "li",
          { "data-stage": name, vars: { "--share": Number(value) / longest } },
          h("span", { class: "name" }, h("i", { class: `key ${name}`, "aria-hidden": "true" }), words(String(name))),
          h("span", { class: "track", "aria-hidden": "true" }, h("i", { class: String(name) })),
          h("span", { class: "cost" }, ms(Number(value))),
        ),
      ),
    ),
  ];
}
