/** Chapter 5: from all that was accepted of one record to its state (M1 to M13). */

import { distinct } from "./bundles.js";
import {
  by,
  compactText,
  compareStrings,
  digestOf,
  instant,
  sorted,
} from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./bundles.js").VerifiedBundle} VerifiedBundle */
/** @typedef {import("./bundles.js").Claim} Claim */
/** @typedef {import("./bundles.js").JudgedReceipt} JudgedReceipt */
/** @typedef {import("./events.js").ValidEvent} ValidEvent */
/** @typedef {import("./records.js").Record} Record */
/** @typedef {{reason: string, by: string[]}} Retirement */

const MERGE_VERSION = "pith-open-graph-merge-v1";

/** Stands for all types that E4's table does not name; it is not a type itself (E1). */
const OTHER = "any other";

/** The lists of `current` and the types in them, in M6's order; the receipt follows the first. */
const LISTS = [
  ["graph_snapshots", "graph_snapshot"],
  ["timestamps", "timestamp_anchored"],
  ["storage_attestations", "storage_attested"],
  ["author_claims", "author_claimed"],
  ["citations", "citation_signed"],
  ["replications", "replication_recorded"],
  ["integrity_findings", "pith.integrity.v1"],
  ["challenges", "challenge_filed"],
  ["other_events", OTHER],
];

/** Things in groups by a text, in the order in which they come. @returns {Map<string, any[]>} */
function grouped(things, keyOf) {
  const groups = new Map();
  for (const thing of things) {
    const key = keyOf(thing);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(thing);
  }
  return groups;
}

/** M1, M2: valid events, one for each id, in order. @returns {ValidEvent[]} */
function inOrder(judged) {
  const byId = new Map(judged.filter((one) => one.event).map((one) => [one.event.id, one.event]));
  return [...byId.values()].sort(by((event) => event.instant, (event) => event.id));
}

/** Who may revoke (M3). @param {ValidEvent} revocation @param {ValidEvent} event */
function reaches(revocation, event) {
  return revocation.key.mayRevokeOthers || revocation.authority === event.authority;
}

/**
 * The ids of the revocations of each revoked event, ascending (M3).
 * @param {ValidEvent[]} events @returns {Map<ValidEvent, string[]>}
 */
function revocationsOf(events) {
  const revocations = events.filter((event) => event.type === "event_revoked");
  const byTarget = grouped(revocations, (revocation) => revocation.payload.get("event_id"));
  const revoked = new Map();
  for (const event of events) {
    if (event.type === "event_revoked") continue; // a revocation cannot be revoked
    const reaching = (byTarget.get(event.id) ?? []).filter((one) => reaches(one, event));
    const ids = reaching.map((one) => one.id).sort(compareStrings);
    if (ids.length > 0) revoked.set(event, ids);
  }
  return revoked;
}

/** M4, M9. @param {ValidEvent[]} events @returns {Map<string, Json>[]} */
function equivocationsOf(events) {
  const named = events.filter((event) => event.isNamed && event.type !== "event_revoked");
  const groups = [...grouped(named, (event) => `${event.instant} ${event.matter}`).values()];
  const contradictions = groups.filter((group) => {
    return group.length > 1 && new Set(group.map((event) => event.payloadDigest)).size > 1;
  });
  return contradictions
    .map((group) => group.sort(by((event) => event.id)))
    .sort(by((group) => group[0].id))
    .map(equivocation);
}

/** M9. @param {ValidEvent[]} group ascending by id */
function equivocation(group) {
  const [first] = group;
  return new Map([
    ["event_type", first.type],
    ["slot_key", first.slotKey],
    ["signer_id", first.signer.get("signer_id")],
    ["signer_type", first.signer.get("signer_type")],
    ["created_at", first.createdAt],
    ["event_ids", group.map((event) => event.id)],
  ]);
}

/** The last word of each slot (M5). @param {ValidEvent[]} events in M2 order */
function lastWords(events) {
  const inSlots = events.filter((event) => event.slotKey.length > 0);
  return new Map(inSlots.map((event) => [event.matter, event])); // the last one stays
}

/**
 * Why events are retired (M11).
 * @param {ValidEvent[]} events in M2 order @param {Map<ValidEvent, string[]>} revoked
 * @returns {Map<ValidEvent, Retirement>}
 */
function retirementsOf(events, revoked) {
  const last = lastWords(events);
  const retired = new Map();
  for (const event of events) {
    const word = event.slotKey.length > 0 ? last.get(event.matter) : event;
    const isWithdrawn = event.rules.isWithdrawn(event.payload);
    if (revoked.has(event)) retired.set(event, { reason: "revoked", by: revoked.get(event) });
    else if (word !== event) retired.set(event, { reason: "superseded", by: [word.id] });
    else if (isWithdrawn) retired.set(event, { reason: "withdrawn", by: [] });
  }
  return retired;
}

/** An event as the lists of `current` print it (M6). @param {ValidEvent} event */
function entryOf(event) {
  return new Map([
    ["event_id", event.id],
    ...(event.isNamed ? [] : [["event_type", event.type]]),
    ["target", event.target],
    ["created_at", event.createdAt],
    ["signer", event.signer],
    ["payload", sorted(event.payload)],
  ]);
}

/** M7, steps 2 to 4. @param {Claim[]} claims of one alias @param {string | null} first F */
function aliasTime(claims, first) {
  const times = claims.map((claim) => claim.createdAt);
  const left = first ? times.filter((time) => instant(time) >= instant(first)) : times;
  left.sort(by((time) => instant(time), (time) => time));
  return left[0] ?? first;
}

/** M7. @param {Record} record @param {Claim[]} claims @param {ValidEvent | undefined} creation */
function aliasesOf(record, claims, creation) {
  const first = creation ? `${creation.createdAt.slice(0, 19)}Z` : null; // F, cut to the second
  const groups = grouped(claims, (claim) => claim.kind); // a kind has one value (R4)
  return record.aliases().map(([kind, value]) => {
    return new Map([
      ["alias_kind", kind],
      ["alias_value", value],
      ["created_at", aliasTime(groups.get(kind) ?? [], first)],
    ]);
  });
}

/** M8. @param {JudgedReceipt[]} receipts @param {ValidEvent | undefined} creation @returns {Json} */
function receiptOf(receipts, creation) {
  const passing = receipts.filter((one) => one.code === null).map((one) => one.value);
  passing.sort(by((one) => one.get("key_id"), (one) => one.get("signature_b64")));
  const shown = creation ? creation.payload.get("receipt") : passing[0];
  if (!shown) return null;
  const names = ["algorithm", "key_id", "kind", "signature_b64"];
  const signedAt = creation ? shown.get("signed_at") : null; // outside an event nothing signs it
  return new Map([...names.map((name) => [name, shown.get(name)]), ["signed_at", signedAt]]);
}

/** The facts of one record, as sets, and what M1 to M5 make of them. */
class Facts {
  /** @param {VerifiedBundle[]} bundles of one record */
  constructor(bundles) {
    const all = (name) => distinct(bundles.flatMap((bundle) => bundle[name]).filter(Boolean));
    this.record = bundles[0].record;
    /** @type {Claim[]} */ this.claims = all("claims");
    /** @type {JudgedReceipt[]} */ this.receipts = all("receipts");
    const judged = all("events");
    this.invalid = judged.filter((one) => one.code !== null);
    this.events = inOrder(judged);
    const revoked = revocationsOf(this.events);
    this.retired = retirementsOf(this.events, revoked);
    this.equivocations = equivocationsOf(this.events);
    /** The first valid, unrevoked record_created in M2 order (M7, M8, M12). */
    this.creation = this.events.find((event) => {
      return event.type === "record_created" && !revoked.has(event);
    });
  }
}

/** `current` (M6). @param {Facts} facts @returns {Map<string, Json>} */
function currentOf(facts) {
  const inForce = facts.events.filter((event) => !facts.retired.has(event)); // in M2 order
  const byList = grouped(inForce, (event) => (event.isNamed ? event.type : OTHER));
  const [snapshots, ...others] = LISTS.map(([name, type]) => {
    return [name, (byList.get(type) ?? []).map(entryOf)];
  });
  return new Map([
    ["canonical_record", sorted(facts.record.value)],
    ["source_aliases", aliasesOf(facts.record, facts.claims, facts.creation)],
    snapshots,
    ["receipt", receiptOf(facts.receipts, facts.creation)],
    ...others,
  ]);
}

/** M10. */
function invalidEntries(judged) {
  const entries = judged.map((one) => new Map([["digest", one.digest], ["code", one.code]]));
  return entries.sort(by((entry) => entry.get("digest")));
}

/** M11. @param {Map<ValidEvent, Retirement>} retired */
function retiredEntries(retired) {
  const entries = [...retired].map(([event, { reason, by: ids }]) => {
    return new Map([["event_id", event.id], ["reason", reason], ["by", ids]]);
  });
  return entries.sort(by((entry) => entry.get("event_id")));
}

/** M6. @param {Facts} facts @returns {Map<string, Json>} */
function stateOf(facts) {
  return new Map([
    ["state_type", "pith_open_graph_state"],
    ["state_version", "1.0"],
    ["pith_number", facts.record.pithNumber],
    ["merge_version", MERGE_VERSION],
    ["event_count", facts.events.length + facts.invalid.length],
    ["valid_event_count", facts.events.length],
    ["invalid_event_count", facts.invalid.length],
    ["equivocation_count", facts.equivocations.length],
    ["current", currentOf(facts)],
    ["equivocations", facts.equivocations],
    ["invalid_events", invalidEntries(facts.invalid)],
    ["retired_events", retiredEntries(facts.retired)],
  ]);
}

/** M12. @param {Facts} facts @param {Map<string, Json>} state @returns {string} 64 digits */
function coreDigest(facts, state) {
  const current = new Map(state.get("current"));
  current.delete("source_aliases");
  current.set("receipt", facts.creation?.payload.get("receipt").get("key_id") ?? null);
  const same = ["pith_number", "merge_version", "valid_event_count", "equivocation_count"];
  return digestOf(
    new Map([
      ...[...same, "equivocations", "retired_events"].map((name) => [name, state.get(name)]),
      ["canonical_sha256", facts.record.canonicalSha256],
      ["current", current],
    ]),
  );
}

/**
 * @typedef {object} State
 * @property {Record} record
 * @property {string} canonicalSha256 R2
 * @property {Map<string, Json>} value M6
 * @property {string} text M13, with an LF at its end
 * @property {string} digest M12
 * @property {string} coreDigest M12
 */

/**
 * The state of one record.
 * @param {VerifiedBundle[]} bundles at least one, all of one record, all under one key set
 * @returns {State}
 */
export function merge(bundles) {
  const facts = new Facts(bundles);
  const value = stateOf(facts);
  return {
    record: facts.record,
    canonicalSha256: facts.record.canonicalSha256,
    value,
    text: `${compactText(value)}\n`,
    digest: digestOf(value),
    coreDigest: coreDigest(facts, value),
  };
}

/**
 * The states of all records in bundles, ascending by Pith Number.
 * @param {VerifiedBundle[]} bundles @returns {State[]}
 */
export function mergeAll(bundles) {
  const groups = grouped(bundles, (bundle) => bundle.record.canonicalSha256);
  return [...groups.values()].map(merge).sort(by((state) => state.record.pithNumber));
}
