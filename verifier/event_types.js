/** Chapter 4: the ten types of E4 as a table. */

import { receiptCode } from "./signatures.js";
import { isDigest, isEqual, isObject, isString, isTime, strictBase64 } from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./records.js").Record} Record */
/** @typedef {import("./keys.js").KeySet} KeySet */
/** @typedef {{record: Record, keys: KeySet}} Context what a member may be held against */
/** @typedef {(value: Json, context: Context) => boolean | Promise<boolean>} Fits */

/** The pattern of an event id (E1). @param {Json} value */
export function isEventId(value) {
  return isString(value) && /^sha256:[0-9a-f]{64}$/.test(value);
}

/** @param {...string} values @returns {Fits} */
const oneOf = (...values) => (value) => values.includes(value);

/** @type {Fits} An optional member is a string or is left out; null is a fault. */
const isOptional = (value) => value === undefined || isString(value);

/** @type {Fits} */
const isHashOfRecord = (value, { record }) => value === record.canonicalSha256;

/** @type {Fits} */
const isTheRecord = (value, { record }) => isEqual(value, record.value);

/** @type {Fits} */
const passesS2 = async (value, { record, keys }) => {
  return (await receiptCode(value, record.canonicalSha256, keys)) === null;
};

/** @type {Fits} */
const isVersion = (value) => isString(value) && /^[0-9]+\.[0-9]+\.[0-9]+$/.test(value);

const STATUS = oneOf("asserted", "withdrawn");

/** A row of the table: what payload members must be, which make the slot key, what withdraws. */
class EventType {
  /**
   * @param {string} target
   * @param {{[name: string]: Fits}} members
   * @param {string[]} slot names of payload members; none for a log
   * @param {[string, string]} [withdrawal] the member and value with which an event withdraws (M5)
   */
  constructor(target, members, slot = [], withdrawal = undefined) {
    this.target = target;
    this.members = new Map(Object.entries(members));
    this.slot = slot;
    this.withdrawal = withdrawal;
  }

  /** Whether target and payload fit (E3, order 10). @returns {Promise<boolean>} */
  async fits(target, payload, context) {
    if (target !== this.target) return false;
    for (const [name, fits] of this.members) {
      if (!(await fits(payload.get(name), context))) return false;
    }
    return true;
  }

  /** The slot key (E4): null for a member that is absent. @param {Map<string, Json>} payload */
  slotKey(payload) {
    return this.slot.map((name) => payload.get(name) ?? null);
  }

  /** Whether an event withdraws itself (M5). @param {Map<string, Json>} payload */
  isWithdrawn(payload) {
    if (!this.withdrawal) return false;
    const [name, value] = this.withdrawal;
    return payload.get(name) === value;
  }
}

const BY_STATUS = /** @type {[string, string]} */ (["status", "withdrawn"]);

/** E4. @type {Map<string, EventType>} */
export const EVENT_TYPES = new Map([
  [
    "record_created",
    new EventType("record", {
      canonical_record: isTheRecord,
      canonical_sha256: isHashOfRecord,
      receipt: passesS2,
    }),
  ],
  ["graph_snapshot", new EventType("graph", { graph_snapshot: isObject })],
  [
    "timestamp_anchored",
    new EventType(
      "record",
      {
        method: oneOf("opentimestamps", "rfc3161", "other"),
        digest: isHashOfRecord,
        proof_b64: (value) => strictBase64(value) !== null,
        calendar: isOptional,
      },
      ["method", "calendar"],
    ),
  ],
  [
    "storage_attested",
    new EventType("record", { archive: isString, url: isString, captured_at: isTime }, [
      "archive",
      "url",
    ]),
  ],
  [
    "author_claimed",
    new EventType(
      "record",
      {
        claimant_id: isString,
        method: oneOf("orcid", "apple", "x", "email", "key"),
        strength: oneOf("strong", "weak"),
        status: oneOf("claimed", "withdrawn"),
      },
      ["claimant_id"],
      BY_STATUS,
    ),
  ],
  [
    "citation_signed",
    new EventType(
      "record",
      {
        citing: isString,
        asserted_by: isString,
        relationship: oneOf(
          ...["supports", "refutes", "extends", "uses_method"],
          ...["depends_on", "replaces", "compares", "cites"],
        ),
        status: STATUS,
        claim_id: isOptional,
      },
      ["asserted_by", "citing", "relationship", "claim_id"],
      BY_STATUS,
    ),
  ],
  [
    "replication_recorded",
    new EventType(
      "record",
      {
        kind: oneOf("replication", "falsification", "formal_bridge"),
        asserted_by: isString,
        url: isString,
        status: STATUS,
        claim_id: isOptional,
      },
      ["asserted_by", "kind", "claim_id", "url"],
      BY_STATUS,
    ),
  ],
  [
    "pith.integrity.v1",
    new EventType(
      "integrity",
      {
        event_type: oneOf("pith.integrity.v1"),
        detector: isString,
        detector_version: isVersion,
        finding_type: isString,
        verdict_class: oneOf(
          ...["incontrovertible", "cross_source", "threshold_with_margin", "rescinded"],
        ),
        severity: oneOf("critical", "advisory", "informational"),
        arxiv_id: isString,
        evidence_hash: isDigest,
        evidence: isObject,
        audited_at: isTime,
      },
      ["evidence_hash"],
      ["verdict_class", "rescinded"],
    ),
  ],
  [
    "challenge_filed",
    new EventType(
      "record",
      {
        challenge_id: isString,
        asserted_by: isString,
        about: oneOf("claim", "reference", "attribution", "data_point", "figure"),
        note: isString,
        status: oneOf("open", "withdrawn"),
      },
      ["challenge_id"],
      BY_STATUS,
    ),
  ],
  ["event_revoked", new EventType("event", { event_id: isEventId, reason: isString })],
]);

/** Any other type: any target, any object as payload, and a log (E4). */
export const OTHER_TYPE = new (class extends EventType {
  async fits() {
    return true;
  }
})("", {});
