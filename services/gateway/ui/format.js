// How things are written for people.

const ARTICLES = /^(.*), (The|A|An|Le|La|Les|L'|Il|El|Der|Die|Das)$/;
const WATCHED = "because you watched ";
const WORDS = new Map([
  ["two_tower", "two towers"],
  ["reranking", "re-ranking"],
]);

/**
 * A catalog's title as people say it: "Matrix, The (1999)" is "The Matrix".
 *
 * @param {string | null | undefined} title
 * @param {string} [otherwise] for an item without one
 */
export function spoken(title, otherwise = "Untitled") {
  if (!title) return otherwise;
  const bare = title.replace(/ \(\d{4}\)$/, "");
  const [, name, article] = ARTICLES.exec(bare) ?? [];
  if (!name) return bare;
  return article.endsWith("'") ? article + name : `${article} ${name}`;
}

/**
 * A reason with its title as people say it.
 *
 * @param {string} reason
 */
export function spokenReason(reason) {
  if (!reason.startsWith(WATCHED)) return reason;
  return WATCHED + spoken(reason.slice(WATCHED.length));
}

/**
 * @param {import("./types.js").Card} card
 * @param {string} title as the catalog spells it
 */
export function isBecauseOf(card, title) {
  return card.reasons.includes(WATCHED + title);
}

/**
 * The name of a source, a stage or a rule in words.
 *
 * @param {string} name
 */
export function words(name) {
  return WORDS.get(name) ?? name.replace("co_visitation", "co-visitation").replaceAll("_", " ");
}

/** @param {number} milliseconds */
export function ms(milliseconds) {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`;
}

/** @param {number} count */
export function counted(count) {
  return count.toLocaleString("en");
}

/**
 * "1 item", "2 items".
 *
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${counted(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number | null | undefined} value */
export function decimal(value) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
}

/**
 * With three significant digits: for numbers whose size the reader cannot know.
 *
 * @param {number} value
 */
export function precise(value) {
  return String(Number(value.toPrecision(3)));
}

/** @param {string | number} moment ISO 8601, or milliseconds since 1970 */
export function day(moment) {
  return new Date(moment).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}
