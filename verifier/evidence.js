/**
 * The checks of an evidence document (docs/evidence.md): the same, in the same order, as those of
 * `mirror evidence --check`.
 */

import { parseBundle, verifyBundle } from "./bundles.js";
import { parse } from "./json.js";
import { parseKeySet } from "./keys.js";
import { merge } from "./merge.js";
import { isNoteSignedBy, parseCheckpoint, parseNote, parseVerifier } from "./notes.js";
import { checkProof } from "./opentimestamps.js";
import { Refusal } from "./refusal.js";
import { rootFromPath } from "./tree.js";
import {
  base32,
  digestOf,
  digestOfText,
  fromHex,
  isDigest,
  isObject,
  isString,
  strictBase64,
  utf8,
} from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {"holds" | "fails" | "claimed" | "not checked"} Status */
/** @typedef {{name: string, status: Status, words: string}} EvidenceCheck */
/** @typedef {{keys: KeySet, bundle: VerifiedBundle, state: State}} Facts */

const [TYPE, VERSION] = ["pith_mirror_evidence", "1.0"];

/** @param {string} message @returns {never} */
function refuse(message) {
  throw new Refusal("evidence.shape", message);
}

/** A member that must be text. @param {Json} value @param {string} name @returns {string} */
function textOf(value, name) {
  const found = isObject(value) ? value.get(name) : undefined;
  return isString(found) ? found : refuse(`${name} must be a string`);
}

/** A member that must be a list of objects. @returns {Map<string, Json>[]} */
function objectsOf(value, name) {
  const found = value.get(name);
  return Array.isArray(found) && found.every(isObject) ? found : refuse(`${name} must be a list`);
}

/** The results, and whom a reader must still trust. */
export class CheckedEvidence {
  /** @param {Map<string, Json>} document */
  constructor(document) {
    this.document = document;
    this.pithNumber = textOf(document, "pith_number");
    this.headers = headersOf(document);
    /** @type {EvidenceCheck[]} */ this.checks = [];
    /** @type {string[]} */ this.trusts = [];
    /** @type {Facts | null} */ this.facts = null;
  }

  /** Whether no check failed. */
  get holds() {
    return this.checks.every(({ status }) => status !== "fails");
  }

  /** @param {string} name @param {Status} status @param {string} words */
  add(name, status, words) {
    this.checks.push({ name, status, words });
  }

  /** A comparison of two texts. */
  compare(name, what, found, expected) {
    if (found === expected) this.add(name, "holds", `${what}: ${found}`);
    else this.add(name, "fails", `${what}: computed ${found}, but the file has ${expected}`);
  }
}

// Facts and state -----------------------------------------------------------------------------

/** The keys on which verdicts rest. @param {CheckedEvidence} checked @param {Facts} facts */
function addKeys(checked, { keys, bundle }) {
  const events = bundle.events.filter((one) => one.event).map((one) => one.event.key.id);
  const receipts = bundle.receipts.filter((one) => !one.code).map((one) => one.value.get("key_id"));
  const used = new Set([...events, ...receipts]);
  for (const key of keys.keys().filter((one) => used.has(one.id))) {
    const [signer, point] = ["signer_id", "public_key_hex"].map((name) => key.value.get(name));
    checked.trusts.push(`key ${key.id} of ${signer}: ${point}`);
  }
}

/** @param {CheckedEvidence} checked @param {string} name @param {{code: string | null}[]} items */
function addVerdicts(checked, name, items) {
  const codes = items.map(({ code }) => code).filter((code) => code !== null);
  const passed = items.length - codes.length;
  if (passed > 0) checked.add(name, "holds", `${passed} signed by keys of the key set`);
  if (codes.length === 0) return;
  const counts = [...new Set(codes)].sort().map((code) => {
    return `${codes.filter((one) => one === code).length} ${code}`;
  });
  checked.add(`refused ${name}`, "claimed", `not verified, so not counted: ${counts.join(", ")}`);
}

/** @param {CheckedEvidence} checked @returns {Promise<Facts | null>} */
async function factsOf(checked) {
  const { document } = checked;
  let keys;
  let bundle;
  try {
    keys = parseKeySet(utf8(textOf(document, "key_set")), { withBuiltIn: false });
    bundle = await verifyBundle(parseBundle(utf8(textOf(document, "bundle"))), keys);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const isUnknown = error.code === "profiles.unsupported";
    const words = `bundle or key set cannot be read: ${error.code}: ${error.message}`;
    checked.add("readable", isUnknown ? "not checked" : "fails", words);
    return null;
  }
  return { keys, bundle, state: merge([bundle]) };
}

/** @param {CheckedEvidence} checked @param {Facts} facts */
function checkFacts(checked, facts) {
  const { bundle, state } = facts;
  const number = bundle.record.pithNumber;
  checked.compare("record", "Pith Number of the record (R3)", number, checked.pithNumber);
  addVerdicts(checked, "receipts", bundle.receipts);
  addVerdicts(checked, "events", bundle.events);
  addKeys(checked, facts);
  const isSame = state.text === textOf(checked.document, "state");
  const ending = isSame ? " (M12)" : ", which is not the one in the file";
  checked.add("state", isSame ? "holds" : "fails", `the merge gives the state ${state.digest}${ending}`);
}

// The tree and its checkpoint -----------------------------------------------------------------

/** Whether a value is an inclusion proof of this record. @param {Json} proof */
function isProof(proof) {
  const isNumberOf = (number, digest) => {
    const isNumber = isString(number) && /^pith:[0-9]{4}:[A-Z2-7]{26}$/u.test(number);
    return isNumber && number.endsWith(`:${base32(fromHex(digest), 26)}`);
  };
  const isStep = (step) => isObject(step) && [...step].every(([digit, one]) => {
    return /^[0-9a-f]$/u.test(digit) && isDigest(one);
  });
  return (
    isObject(proof) &&
    proof.get("proof_type") === "pith_mirror_inclusion_proof" &&
    proof.get("proof_version") === "1.0" &&
    ["canonical_sha256", "core_digest", "root", "key_set_digest"].every((name) => {
      return isDigest(proof.get(name));
    }) &&
    isNumberOf(proof.get("pith_number"), proof.get("canonical_sha256")) &&
    isString(proof.get("merge_version")) &&
    Array.isArray(proof.get("path")) &&
    proof.get("path").every(isStep)
  );
}

/** @param {CheckedEvidence} checked @param {Facts} facts @returns {string | null} the root */
function checkInclusion(checked, { keys, state }) {
  const proof = checked.document.get("inclusion_proof");
  if (!isProof(proof)) {
    checked.add("inclusion", "fails", "the inclusion proof cannot be read");
    return null;
  }
  const leaf = { canonicalSha256: state.canonicalSha256, coreDigest: state.coreDigest };
  const root = proof.get("root");
  const isOfState =
    proof.get("canonical_sha256") === leaf.canonicalSha256 &&
    proof.get("core_digest") === leaf.coreDigest;
  if (!isOfState || rootFromPath(leaf, proof.get("path")) !== root) {
    checked.add("inclusion", "fails", `the proof does not lead from this state to the root ${root}`);
    return null;
  }
  checked.add("inclusion", "holds", `the state is in the tree of the root ${root} (RFC 6962)`);
  const named = proof.get("key_set_digest");
  checked.compare("key set", "digest of the key set (K3)", keys.digest(), named);
  return root;
}

/** @param {CheckedEvidence} checked @param {string} note @param {Json} text of the public key */
async function checkSignature(checked, note, text) {
  const name = "checkpoint signature";
  if (!isString(text)) {
    const words = "the file has no public key for it: get it from the mirror, by another way";
    checked.add(name, "not checked", words);
    return;
  }
  try {
    if (!(await isNoteSignedBy(note, parseVerifier(text)))) {
      checked.add(name, "fails", "the key did not sign the note");
      return;
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    checked.add(name, "fails", error.message);
    return;
  }
  checked.add(name, "holds", `signed by ${text}`);
  checked.trusts.push(`public key of the mirror: ${text}`);
}

/** @param {CheckedEvidence} checked @param {Facts} facts @param {string | null} root */
async function checkCheckpoint(checked, { keys }, root) {
  const found = checked.document.get("checkpoint") ?? null;
  if (found === null) {
    checked.add("checkpoint", "not checked", "the file has no checkpoint of this root");
    return;
  }
  const note = textOf(found, "note");
  let checkpoint;
  try {
    checkpoint = parseCheckpoint(parseNote(note).text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    checked.add("checkpoint", "fails", `the checkpoint cannot be read: ${error.message}`);
    return;
  }
  checked.compare("checkpoint root", "root in the checkpoint", checkpoint.root, root ?? "");
  if (checkpoint.keySetDigest !== null) {
    const what = "key set of the checkpoint";
    checked.compare("checkpoint key set", what, checkpoint.keySetDigest, keys.digest());
  }
  await checkSignature(checked, note, found.get("verifier"));
  if (checkpoint.time !== null) {
    checked.add("checkpoint time", "claimed", `its signer dates it ${checkpoint.time}`);
  }
  const proof = found.get("time_stamp_b64") ?? null;
  if (proof !== null) addProof(checked, "checkpoint time-stamp", proof, digestOfText(note));
}

// Time-stamps ---------------------------------------------------------------------------------

/** The block headers in the document, by height. @param {Map<string, Json>} document */
function headersOf(document) {
  const pairs = objectsOf(document, "headers").map((one) => {
    const [height, digits] = [one.get("height"), textOf(one, "header")];
    const isHeader = Number.isInteger(height) && /^[0-9a-f]{160}$/u.test(digits);
    return isHeader ? [height, fromHex(digits)] : refuse("a block header is none");
  });
  return new Map(pairs);
}

const FAILED = new Map([
  ["wrong block", "the block has another Merkle root"],
  ["other digest", "the proof is about another digest"],
  ["malformed", "it is no proof of OpenTimestamps"],
]);

/** @param {CheckedEvidence} checked @param {string} name @param {Json} base64 @param {string} digest */
function addProof(checked, name, base64, digest) {
  const proof = (isString(base64) ? strictBase64(base64) : null) ?? new Uint8Array();
  const result = checkProof(proof, digest, checked.headers);
  const block = `block ${(result.height ?? 0).toLocaleString("en-US")}`;
  if (result.status === "anchored") {
    const { time, hash, work } = result;
    checked.add(name, "holds", `existed by ${time}, the time in the header of ${block} of ${work}`);
    checked.trusts.push(`${block} as one of Bitcoin: ${hash}, of ${work}`);
  } else if (FAILED.has(result.status)) {
    checked.add(name, "fails", FAILED.get(result.status));
  } else {
    const isMissing = result.status === "no header";
    const words = isMissing ? `the file lacks a header with work for ${block}` : "not confirmed";
    checked.add(name, "not checked", words);
  }
}

/** @param {CheckedEvidence} checked @param {Facts} facts */
function checkTimeStamps(checked, { state }) {
  for (const entry of state.value.get("current").get("timestamps")) {
    const [name, payload] = [`time-stamp ${entry.get("event_id")}`, entry.get("payload")];
    if (payload.get("method") === "opentimestamps") {
      addProof(checked, name, payload.get("proof_b64"), state.canonicalSha256);
    } else {
      const words = "this method is not checked in this file; `mirror evidence --check` may";
      checked.add(name, "not checked", words);
    }
  }
}

// Statements ----------------------------------------------------------------------------------

/** The digest of a JSON text; null if it is none. @param {string} text */
function digestOrNull(text) {
  try {
    return digestOf(parse(utf8(text)));
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

/** What upstreams said, which proves nothing. @param {CheckedEvidence} checked */
function listStatements(checked) {
  const { document } = checked;
  const own = new Map(["state", "bundle"].map((name) => [name, digestOrNull(textOf(document, name))]));
  for (const one of objectsOf(document, "upstream")) {
    const kind = textOf(one, "kind");
    const digest = digestOrNull(textOf(one, "text"));
    const isSame = digest !== null && digest === own.get(kind);
    const words =
      `${textOf(one, "upstream")} gave ${isSame ? "the same" : "another"} ${kind}, ` +
      `first read by this mirror at ${textOf(one, "first_read_at")}`;
    checked.add(`upstream ${kind}`, "claimed", words);
  }
  checked.add("made", "claimed", `this file says that it was made at ${textOf(document, "made_at")}`);
}

/**
 * The results of all checks of an evidence document.
 * @param {Uint8Array} bytes JSON @returns {Promise<CheckedEvidence>}
 * @throws {Refusal} a code of V1, or `evidence.shape`
 */
export async function checkEvidence(bytes) {
  const document = parse(bytes);
  const isKnown =
    isObject(document) &&
    document.get("evidence_type") === TYPE &&
    document.get("evidence_version") === VERSION;
  if (!isKnown) refuse("this is no evidence document of this version");
  const checked = new CheckedEvidence(document);
  const facts = await factsOf(checked);
  if (facts) {
    checked.facts = facts;
    checkFacts(checked, facts);
    const root = checkInclusion(checked, facts);
    await checkCheckpoint(checked, facts, root);
    checkTimeStamps(checked, facts);
  }
  listStatements(checked);
  return checked;
}
