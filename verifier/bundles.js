/** Chapter 6: what refuses a bundle, what is only reported, and the composed one (B1 to B3, B6). */

import { judgeEvent } from "./events.js";
import { parse } from "./json.js";
import { Record } from "./records.js";
import { Refusal } from "./refusal.js";
import { receiptCode } from "./signatures.js";
import {
  by,
  canonicalText,
  digestOfText,
  instant,
  isEqual,
  isObject,
  isString,
  isTime,
} from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./keys.js").KeySet} KeySet */
/** @typedef {import("./events.js").JudgedEvent} JudgedEvent */
/** @typedef {{code: string, where: string}} Finding `where` is a JSON Pointer into the bundle */
/** @typedef {{value: Json, text: string, code: string | null}} JudgedReceipt */
/** @typedef {{kind: string, value: string, createdAt: string, text: string}} Claim of an alias's time */

const MEMBERS = new Map([
  ["bundle_type", isString],
  ["bundle_version", isString],
  ["pith_number", isString],
  ["short_pith_number", isString],
  ["canonical_record", isObject],
  ["canonical_sha256", isString],
  ["source", isObject],
  ["source_aliases", Array.isArray],
  ["events", Array.isArray],
]);

/** B1. @param {Json} value */
function hasBundleShape(value) {
  if (!isObject(value)) return false;
  if (![...MEMBERS].every(([name, fits]) => fits(value.get(name)))) return false;
  return !value.has("receipts") || Array.isArray(value.get("receipts"));
}

/** @param {boolean} holds @param {string} code @param {string} message */
function demand(holds, code, message) {
  if (!holds) throw new Refusal(code, message);
}

/** A bundle that B2 does not refuse; nothing in it is verified yet. */
export class Bundle {
  /** @param {Json} value @throws {Refusal} with a code of B2 */
  constructor(value) {
    demand(hasBundleShape(value), "bundle.shape", "this is not a bundle as B1 describes it");
    const isBundle = value.get("bundle_type") === "pith_open_graph_bundle";
    demand(isBundle, "bundle.type", "bundle_type names something else");
    demand(value.get("bundle_version") === "1.0", "bundle.version", "an unknown bundle_version");
    const record = new Record(value.get("canonical_record"));
    const hasDigest = value.get("canonical_sha256") === record.canonicalSha256; // R2
    demand(hasDigest, "record.digest", "canonical_sha256 is not the hash of the record");
    const hasNumber = value.get("pith_number") === record.pithNumber; // R3
    demand(hasNumber, "record.number", "pith_number is not that of the record");
    this.value = value;
    this.record = record;
  }
}

/**
 * A bundle from its text.
 * @param {Uint8Array} bytes @returns {Bundle}
 * @throws {Refusal} with the first code of B2 that applies
 */
export function parseBundle(bytes) {
  return new Bundle(parse(bytes));
}

/** What B3 reports of the bundle itself. @param {Bundle} bundle @returns {Finding[]} */
function findingsOfBundle({ value, record }) {
  const findings = [];
  if (value.get("short_pith_number") !== record.shortPithNumber) {
    findings.push({ code: "bundle.short", where: "/short_pith_number" });
  }
  if (!isEqual(value.get("source"), record.value.get("source"))) {
    findings.push({ code: "bundle.source", where: "/source" });
  }
  return findings;
}

const CLAIM_MEMBERS = ["alias_kind", "alias_value", "created_at"];

/**
 * The claim that an item of `source_aliases` makes, exactly its three members, or null (B3).
 * @param {Json} item @param {[string, string][]} aliases of the record (R4) @returns {Claim | null}
 */
function claimOf(item, aliases) {
  if (!isObject(item)) return null;
  const [kind, value, createdAt] = CLAIM_MEMBERS.map((name) => item.get(name));
  const isAlias = aliases.some(([one, other]) => one === kind && other === value);
  if (!isAlias || !isTime(createdAt)) return null;
  const members = CLAIM_MEMBERS.map((name) => [name, item.get(name)]);
  return { kind, value, createdAt, text: canonicalText(new Map(members)) };
}

/** A function of values that is computed once for equal ones (V2). */
function onceForEqual(compute) {
  const known = new Map();
  return (value) => {
    const text = canonicalText(value);
    if (!known.has(text)) known.set(text, compute(value, text));
    return known.get(text);
  };
}

/** Promises of all items, of which a thousand run at a time. */
async function resolved(items, judge) {
  const results = [];
  for (let start = 0; start < items.length; start += 1000) {
    results.push(...(await Promise.all(items.slice(start, start + 1000).map(judge))));
  }
  return results;
}

/**
 * @typedef {object} VerifiedBundle
 * @property {Record} record
 * @property {(Claim | null)[]} claims by position in `source_aliases`; null if it is not merged
 * @property {JudgedReceipt[]} receipts by position
 * @property {JudgedEvent[]} events by position
 * @property {Finding[]} findings B3
 */

/**
 * A bundle with the verdict on each receipt and event in it (S2, E3) and its findings (B3).
 * @param {Bundle} bundle @param {KeySet} keys @returns {Promise<VerifiedBundle>}
 */
export async function verifyBundle(bundle, keys) {
  const { value, record } = bundle;
  const aliases = record.aliases();
  const claims = value.get("source_aliases").map((item) => claimOf(item, aliases));
  const judgeReceipt = onceForEqual(async (one, text) => {
    return { value: one, text, code: await receiptCode(one, record.canonicalSha256, keys) };
  });
  const context = { record, keys };
  const judge = onceForEqual((one, text) => judgeEvent(one, text, context));
  const receipts = await resolved(value.get("receipts") ?? [], judgeReceipt);
  const events = await resolved(value.get("events"), judge);
  const findings = [
    ...findingsOfBundle(bundle),
    ...reported(claims.map((claim) => (claim ? null : "bundle.alias")), "/source_aliases"),
    ...reported(receipts.map((receipt) => receipt.code), "/receipts"),
    ...reported(events.map((event) => event.code), "/events"),
  ];
  return { record, claims, receipts, events, findings };
}

/** A finding for each item with a code. @param {(string | null)[]} codes @param {string} list */
function reported(codes, list) {
  return codes.flatMap((code, at) => (code ? [{ code, where: `${list}/${at}` }] : []));
}

/** One of each among equal things (V2), ascending by canonical bytes (M1, B6). */
export function distinct(things) {
  const byText = new Map(things.map((thing) => [thing.text, thing]));
  return [...byText.values()].sort(by((thing) => thing.text));
}

/** Where an event stands in a composed bundle (B6): those without a time last. */
const placeOf = ({ value, text }) => ({
  text,
  instant: (isObject(value) ? instant(value.get("created_at")) : null) ?? "no time",
  digest: digestOfText(text),
});

/**
 * The composed bundle of several of one record (B6).
 * @param {VerifiedBundle[]} bundles at least one, all of one record
 * @returns {string} its text, with an LF at its end
 */
export function compose(bundles) {
  const { record } = bundles[0];
  const all = (name) => distinct(bundles.flatMap((bundle) => bundle[name]).filter(Boolean));
  const listed = (things) => `[${things.map((thing) => thing.text).join(",")}]`;
  const events = all("events").map(placeOf);
  events.sort(by((event) => event.instant, (event) => event.digest));
  const receipts = all("receipts");
  const members = [
    ["bundle_type", '"pith_open_graph_bundle"'],
    ["bundle_version", '"1.0"'],
    ["pith_number", canonicalText(record.pithNumber)],
    ["short_pith_number", canonicalText(record.shortPithNumber)],
    ["canonical_record", canonicalText(record.value)],
    ["canonical_sha256", canonicalText(record.canonicalSha256)],
    ["source", canonicalText(record.value.get("source"))],
    ["source_aliases", listed(all("claims"))],
    ["events", listed(events)],
    ...(receipts.length > 0 ? [["receipts", listed(receipts)]] : []),
  ];
  return `{${members.map(([name, text]) => `"${name}":${text}`).join(",")}}\n`;
}
