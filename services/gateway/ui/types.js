/**
 * What the gateway answers, as far as the page reads it; /openapi.json tells all.
 *
 * @typedef {{kind: "user" | "visitor", id: string}} Person  A visitor has no account: its id was made in this browser.
 *
 * @typedef {object} Card
 * @property {string} item_id
 * @property {string | null} title
 * @property {number | null} year
 * @property {string[]} genres
 * @property {number} rank  1 is the top
 * @property {number | null} score  of the ranker; higher is better
 * @property {string[]} sources
 * @property {number} propensity
 * @property {string} slot  ranked, fresh or explore
 * @property {string[]} reasons
 * @property {{source_scores: Record<string, number>, features: Record<string, number>}} [explain]
 * @property {Explanation} [told]  once the stream has said it
 *
 * @typedef {object} Answer
 * @property {string} recommendation_id
 * @property {string} surface  where it is shown: home, search and so on
 * @property {string} served_by  fresh, cache or fallback
 * @property {{stage: string, reason: string, fallback: string}[]} degraded
 * @property {Record<string, string>} model_versions
 * @property {{key: string, variant: string}[]} experiments
 * @property {Card[]} items
 * @property {Record<string, number>} timings_ms  by stage, and the total
 *
 * @property {Understood} [query]  of a search only
 *
 * @typedef {{item_id: string, rank: number, sentence: string, by: "model" | "template"}} Explanation
 *
 * @typedef {object} Understood  How a sentence was read; what it does not say is empty.
 * @property {string[]} genres
 * @property {boolean} any_genre  one of them is enough
 * @property {string[]} not_genres
 * @property {[number | null, number | null] | null} years  first and last; null is open
 * @property {[number, number][]} not_years  first and last of each
 * @property {string[]} like  titles
 * @property {string[]} title  the title that the whole sentence is
 * @property {string[]} people
 * @property {"newest" | "oldest" | "best" | "popular" | null} sort
 * @property {number | null} n
 * @property {string} text  what is looked for as words
 * @property {{start: number, end: number, kind: string, value: string}[]} spans  what the parser recognised
 * @property {boolean} by_model  a language model had a part in it
 * @property {boolean} by_words  whether the text index was asked
 * @property {string} given_up  why it is wider than what was said
 * @property {number} milliseconds  that reading took
 *
 * @typedef {{reason: string, item_ids: string[]}} Removed
 * @typedef {{source: string, proposed: number, kept: number, milliseconds: number, error: string}} Source
 * @typedef {{rule: string, kept: number, removed: Removed[], milliseconds: number}} Rule
 * @typedef {{item_id: string, score: number | null, sources: string[], source_scores: Record<string, number>,
 *   shown: boolean}} Candidate
 *
 * @typedef {object} TraceParts
 * @property {{n: number, deadline_ms: number}} request
 * @property {{cold: boolean, profile: Record<string, string>, history: string[], seen: number, hidden: number}} user
 * @property {Source[]} sources
 * @property {Removed[]} removed
 * @property {Rule[]} rules
 * @property {Candidate[]} candidates  in the order retrieval gave
 * @property {Record<string, string>} titles  by item id
 * @property {string} received_at
 * @typedef {Answer & TraceParts} Trace
 *
 * @typedef {{item_id: string, title: string | null, ts: string, value: number | null}} Past
 * @typedef {{user_id: string, profile: Record<string, string>, history: Past[], seen: number, hidden: number}} Known
 *   What is known of a user, newest first.
 *
 * @typedef {object} Item
 * @property {string} item_id
 * @property {string} title
 * @property {number | null} year
 * @property {string[]} genres
 * @property {string[]} creators
 * @property {string | null} created_at
 * @property {Record<string, number>} statistics
 *
 * @typedef {"watch" | "like" | "hide"} Action
 */

export {};
