/** Two states, compared by their records and events (docs/conformance.md, `compare`). */

import { Record } from "./records.js";
import { Refusal } from "./refusal.js";
import { compareStrings, isEqual } from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {Map<string, Json>} StateValue a state, with all members of M6 */

/** The events that a state shows, by id. @param {StateValue} state @returns {Map<string, Json>} */
function shown(state) {
  const current = new Map(state.get("current"));
  current.delete("source_aliases");
  const entries = [...current.values()].filter(Array.isArray).flat();
  return new Map(entries.map((entry) => [entry.get("event_id"), entry]));
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

/** @typedef {{code: string, id: string}} Difference the event, or empty for one of the record */

/** @param {StateValue} here @param {StateValue} there @returns {Difference[]} */
function differencesInEvents(here, there) {
  const [ours, theirs, gone] = [shown(here), shown(there), retired(here)];
  const [oursNamed, theirsNamed] = [named(here), named(there)];
  const known = [...ours.keys(), ...gone.keys()];
  const isOther = (id) => ours.has(id) && !isEqual(theirs.get(id), ours.get(id));
  const all = (ids, codeOf) => [...ids].map((id) => ({ code: codeOf(id), id }));
  return [
    ...all([...theirs.keys()].filter(isOther), () => "event.content"),
    ...all([...theirs.keys()].filter((id) => gone.has(id)), (id) => `event.${gone.get(id)}`),
    ...all([...theirsNamed].filter((id) => !oursNamed.has(id)), () => "event.missing_here"),
    ...all(known.filter((id) => !theirsNamed.has(id)), () => "event.missing_upstream"),
  ];
}

/**
 * The differences between two states that concern their records and events.
 * @param {StateValue} here from a merge @param {StateValue} there of which only the types are sure
 * @returns {Difference[]}
 */
export function differences(here, there) {
  const number = here.get("pith_number");
  const isRecord = gives(there.get("current").get("canonical_record"), number);
  const ofRecord = isRecord ? [] : [{ code: "record.digest", id: "" }];
  if (there.get("pith_number") !== number) return [...ofRecord, { code: "record.changed", id: "" }];
  return [...ofRecord, ...differencesInEvents(here, there)];
}

/**
 * Whether two states are the same, and the codes of what differs, ascending, each once.
 * @param {StateValue} here from a merge @param {StateValue} there of which only the types are sure
 * @returns {{same: boolean, causes: string[]}}
 */
export function compare(here, there) {
  const codes = differences(here, there).map((one) => one.code);
  return { same: isEqual(here, there), causes: [...new Set(codes)].sort(compareStrings) };
}
