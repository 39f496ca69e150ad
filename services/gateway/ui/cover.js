// Covers without pictures: colours and a pattern by genre, arranged by the item's id, so that an item always looks the same.

import { h, setVariables } from "./dom.js";

/** Hue in degrees and pattern by genre. */
const LOOKS = new Map(
  /** @type {[string, [number, string]][]} */ ([
    ["Action", [28, "stripes"]],
    ["Adventure", [75, "chevrons"]],
    ["Animation", [340, "dots"]],
    ["Children's", [200, "dots"]],
    ["Comedy", [60, "rays"]],
    ["Crime", [268, "grid"]],
    ["Documentary", [165, "grid"]],
    ["Drama", [290, "arcs"]],
    ["Fantasy", [315, "rings"]],
    ["Film-Noir", [255, "blinds"]],
    ["Horror", [15, "rays"]],
    ["Musical", [350, "waves"]],
    ["Mystery", [235, "rings"]],
    ["Romance", [5, "arcs"]],
    ["Sci-Fi", [220, "rings"]],
    ["Thriller", [250, "stripes"]],
    ["War", [125, "chevrons"]],
    ["Western", [48, "blinds"]],
  ]),
);
/** Most items have these; what else an item is tells more. */
const COMMON = ["Drama", "Comedy"];
const HUE_SPREAD = 56;
const PATTERNS = ["stripes", "dots", "rings", "rays", "grid", "arcs", "blinds", "waves", "chevrons"];

/**
 * The cover with whatever stands on it.
 *
 * @param {{item_id: string, genres: string[]}} item
 * @param {string} title decides the size of the letters
 * @param {...import("./dom.js").Child} children
 */
export function cover(item, title, ...children) {
  const seed = hashed(item.item_id);
  const genres = [...item.genres].sort((one, other) => COMMON.indexOf(one) - COMMON.indexOf(other));
  const [first, pattern] = look(genres[0] ?? item.item_id);
  const [second] = look(genres[1] ?? item.item_id);
  // Items of one genre are of one family, not of one colour.
  const hue = first + ((seed >>> 4) % HUE_SPREAD) - HUE_SPREAD / 2;
  const length = title.length > 42 ? "long" : title.length > 20 ? "middle" : "short";
  const art = h("span", { class: `art ${pattern}`, "aria-hidden": "true" });
  setVariables(art, {
    "--angle": `${20 + (seed % 140)}deg`,
    "--x": `${10 + ((seed >>> 8) % 80)}%`,
    "--y": `${5 + ((seed >>> 16) % 60)}%`,
  });
  const element = h("div", { class: `cover ${length}` }, art, ...children);
  setVariables(element, { "--hue": hue, "--second": genres.length > 1 ? second : hue + 40 });
  return element;
}

/**
 * @param {string} genre
 * @returns {[number, string]}
 */
function look(genre) {
  const seed = hashed(genre);
  return LOOKS.get(genre) ?? [seed % 360, PATTERNS[(seed >>> 9) % PATTERNS.length]];
}

/**
 * FNV-1a, 32 bits.
 *
 * @param {string} text
 */
function hashed(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
