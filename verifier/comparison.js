/** Two states, compared by their records and events (docs/conformance.md, `compare`). */

import { Record } from "./records.js";
import { Refusal } from "./refusal.js";
import { compareStrings, isEqual } from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {Map<string, Json>} StateValue a state, with all members of M6 */

const ALIASES = "source_aliases";

/** The events that a state shows, by id. @param {StateValue} state @returns {Map<string, Json>} */
function shown(state) {
  const lists = [...state.get("current")].filter(([name, list]) => name !== ALIASES && Array.isArray(list));
  return new Map(lists.flatMap(([, list]) => list.map((entry) => [entry.get("event_id"), entry])));
}

/** The reason of each retired event, by id. @param {StateValue} state @returns {Map<string, string>} */
function retired(state) {
  const entries = state.get("retired_events");
  return new Map(entries.map((entry) => [entry.get("event_id"), entry.get("reason")]));
}

/** The ids of all events that a state names. @param {StateValue} state @returns {Set<string>} */
function named(state) {
  const revocations = state.get("retired_events").flatMap((entry) => entry.get("by"));
  const equivocal = state.get("equivocations").flatMap((entry) => entry.get("event_ids"));
  return new Set([...shown(state).keys(), ...retired(state).keys(), ...revocations, ...equivocal]);
}

/** @param {Json} record @param {Json} pithNumber */
function gives(record, pithNumber) {
  try {
    return new Record(record).pithNumber === pithNumber;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

/** @param {StateValue} here @param {StateValue} there @returns {string[]} codes, with repeats */
function causesInEvents(here, there) {
  const [ours, theirs, gone] = [shown(here), shown(there), retired(here)];
  const [oursNamed, theirsNamed] = [named(here), named(there)];
  const both = [...theirs].filter(([id]) => ours.has(id));
  return [
    ...both.filter(([id, entry]) => !isEqual(entry, ours.get(id))).map(() => "event.content"),
    ...[...theirs.keys()].filter((id) => gone.has(id)).map((id) => `event.${gone.get(id)}`),
    ...[...theirsNamed].filter((id) => !oursNamed.has(id)).map(() => "event.missing_here"),
    ...[...ours.keys(), ...gone.keys()]
      .filter((id) => !theirsNamed.has(id))
      .map(() => "event.missing_upstream"),
  ];
}

/**
 * Whether two states are the same, and the codes of what differs, ascending, each once.
 * @param {StateValue} here from a merge @param {StateValue} there of which only the types are sure
 * @returns {{same: boolean, causes: string[]}}
 */
export function compare(here, there) {
  const number = here.get("pith_number");
  const causes = [];
  if (!gives(there.get("current").get("canonical_record"), number)) causes.push("record.digest");
  if (there.get("pith_number") !== number) causes.push("record.changed");
  else causes.push(...causesInEvents(here, there));
  return { same: isEqual(here, there), causes: [...new Set(causes)].sort(compareStrings) };
}
