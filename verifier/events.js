/** Chapter 4: events and their verdicts (E1 to E3). */

import { EVENT_TYPES, OTHER_TYPE, isEventId } from "./event_types.js";
import { isPithNumber } from "./records.js";
import { isSignedBy } from "./signatures.js";
import {
  canonicalText,
  digestOf,
  digestOfText,
  hasExactly,
  instant,
  isFilled,
  isObject,
  isString,
  payloadDigest,
  utf8,
} from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./keys.js").Key} Key */
/** @typedef {import("./event_types.js").Context} Context */

/** The most canonical bytes of an event, id and signature included (E1). */
const MAX_EVENT_BYTES = 1_048_576;
/** The deepest nesting of a payload, itself being 1 (E1). */
const MAX_PAYLOAD_DEPTH = 32;

const SIGNER_MEMBERS = ["key_id", "public_key_fingerprint", "signer_id", "signer_type"];

/** How deep a value nests: `{}` is 1, a string 0. @param {Json} value @returns {number} */
function depthOf(value) {
  const isList = Array.isArray(value);
  if (!isList && !isObject(value)) return 0;
  let deepest = 0;
  for (const item of value.values()) deepest = Math.max(deepest, depthOf(item));
  return deepest + 1;
}

/** 1 to 128 code points (E1). @param {Json} value */
function isTarget(value) {
  return isFilled(value) && value.length <= 256 && [...value].length <= 128;
}

/** @param {Json} value */
function isPayload(value) {
  return isObject(value) && depthOf(value) <= MAX_PAYLOAD_DEPTH;
}

/** @param {Json} value */
function isSigner(value) {
  return isObject(value) && SIGNER_MEMBERS.every((name) => isFilled(value.get(name)));
}

/** E1 as check 1 of E3 asks for it. */
const ENVELOPE = new Map([
  ["event_type", (value) => isString(value) && /^[a-z0-9._]{1,64}$/.test(value)],
  ["subject_pith_number", isPithNumber],
  ["target", isTarget],
  ["payload", isPayload],
  ["created_at", isString],
  ["signer", isSigner],
  ["event_id", isEventId],
  ["signature", isObject],
]);

/** @param {Json} value @param {string} text its canonical text */
function hasEventShape(value, text) {
  if (!isObject(value)) return false;
  if (![...ENVELOPE].every(([name, fits]) => fits(value.get(name)))) return false;
  return text.length <= MAX_EVENT_BYTES && utf8(text).length <= MAX_EVENT_BYTES;
}

/** The event digest (E2). @param {Map<string, Json>} value @returns {string} 64 digits */
function eventDigest(value) {
  const rest = new Map(value);
  rest.delete("event_id");
  rest.delete("signature");
  return digestOf(rest);
}

/** Checks 2 to 4 of E3, which need no key. @param {Map<string, Json>} value @param {Context} context */
function codeWithoutKeys(value, digest, { record }) {
  if (value.get("event_id") !== `sha256:${digest}`) return "event.id";
  if (value.get("subject_pith_number") !== record.pithNumber) return "event.subject";
  return instant(value.get("created_at")) === null ? "event.time" : null;
}

/** Checks 5 to 7 of E3. @param {Map<string, Json>} value @param {Key | undefined} key */
function codeOfKey(value, key) {
  if (!key) return "event.key_unknown";
  const signer = value.get("signer");
  const isSame =
    signer.get("public_key_fingerprint") === key.fingerprint && // K1: the form of 32 digits only
    signer.get("signer_id") === key.value.get("signer_id") &&
    signer.get("signer_type") === key.value.get("signer_type");
  if (!isSame) return "event.key_mismatch";
  return key.holds(instant(value.get("created_at"))) ? null : "event.key_window";
}

/** Check 8 of E3. @param {Json} signature @param {string} digest @param {Key} key */
async function isSigned(signature, digest, key) {
  if (!hasExactly(signature, ["algorithm", "signature_b64"])) return false;
  if (signature.get("algorithm") !== "ed25519") return false;
  return isSignedBy(key, digest, signature.get("signature_b64"));
}

/** An event that passes every check of E3, as the merge sees it. */
export class ValidEvent {
  /** @param {Map<string, Json>} value @param {Key} key that signed it */
  constructor(value, key) {
    this.key = key;
    /** @type {string} */ this.id = value.get("event_id");
    /** @type {string} */ this.type = value.get("event_type");
    /** @type {string} */ this.target = value.get("target");
    /** @type {string} */ this.createdAt = value.get("created_at");
    /** V5, in the form that sorts. @type {string} */ this.instant = instant(this.createdAt);
    /** @type {Map<string, Json>} */ this.payload = value.get("payload");
    const signer = value.get("signer");
    /** Exactly the four members of E1. @type {Map<string, string>} */
    this.signer = new Map(SIGNER_MEMBERS.map((name) => [name, signer.get(name)]));
    const rules = EVENT_TYPES.get(this.type);
    /** Whether E4's table names the type. */
    this.isNamed = rules !== undefined;
    this.rules = rules ?? OTHER_TYPE;
    /** E4. @type {(string | null)[]} */
    this.slotKey = this.rules.slotKey(this.payload);
    /** The pair of signer id and type, as a text to compare (chapter 5). */
    this.authority = canonicalText([signer.get("signer_id"), signer.get("signer_type")]);
    /** What it speaks of: authority, type and slot key, as a text to compare (M4, M5). */
    this.matter = canonicalText([this.authority, this.type, this.slotKey]);
  }

  /** V4. @returns {string} 64 digits */
  get payloadDigest() {
    return payloadDigest(this.payload);
  }
}

/** An item of a bundle's `events` with its verdict (E3). */
export class JudgedEvent {
  /**
   * @param {Json} value @param {string} text its canonical text
   * @param {string | null} code null if it is valid
   * @param {ValidEvent | null} event null if it is invalid
   */
  constructor(value, text, code, event) {
    Object.assign(this, { value, text, code, event });
  }

  /** The digest of the whole value (M10). @returns {string} 64 digits */
  get digest() {
    return digestOfText(this.text);
  }
}

/**
 * The code of an event whose shape is right, or null (E3, orders 2 to 10).
 * @param {Map<string, Json>} value @param {Context} context @returns {Promise<string | null>}
 */
async function codeOf(value, context) {
  const digest = eventDigest(value);
  const early = codeWithoutKeys(value, digest, context);
  if (early) return early;
  const key = context.keys.get(value.get("signer").get("key_id"));
  const code = codeOfKey(value, key);
  if (code) return code;
  if (!(await isSigned(value.get("signature"), digest, key))) return "event.signature";
  const type = value.get("event_type");
  if (!key.maySign(type)) return "event.role";
  const rules = EVENT_TYPES.get(type) ?? OTHER_TYPE;
  const fits = await rules.fits(value.get("target"), value.get("payload"), context);
  return fits ? null : "event.payload";
}

/**
 * The verdict on an item of `events`, whatever its type (E3).
 * @param {Json} value @param {string} text its canonical text @param {Context} context
 * @returns {Promise<JudgedEvent>}
 */
export async function judgeEvent(value, text, context) {
  if (!hasEventShape(value, text)) return new JudgedEvent(value, text, "event.shape", null);
  const code = await codeOf(value, context);
  if (code) return new JudgedEvent(value, text, code, null);
  const key = context.keys.get(value.get("signer").get("key_id"));
  return new JudgedEvent(value, text, null, new ValidEvent(value, key));
}
