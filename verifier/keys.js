/** Chapter 3: keys, the key set and its digest (K1 to K3). */

import { Refusal } from "./refusal.js";
import { sha256 } from "./hashes.js";
import { parse } from "./json.js";
import { isPublicKey } from "./signatures.js";
import {
  by,
  digestOf,
  fromHex,
  hex,
  instant,
  isDigest,
  isEqual,
  isFilled,
  isObject,
  isString,
  isTime,
} from "./values.js";

/** @typedef {import("./json.js").Json} Json */

/** A time, or null for no bound; an absent member is neither (K2). @param {Json | undefined} value */
const isBound = (value) => value === null || isTime(value);

const MEMBERS = new Map([
  ["key_id", isFilled],
  ["algorithm", (value) => value === "ed25519"],
  ["public_key_hex", (value) => isDigest(value) && isPublicKey(fromHex(value))],
  ["signer_id", isFilled],
  ["signer_type", isFilled],
  ["valid_from", isBound],
  ["valid_until", isBound],
  ["event_types", (value) => Array.isArray(value) && value.every(isString)],
  ["may_revoke_others", (value) => typeof value === "boolean"],
]);

/** A trusted key (K2). */
export class Key {
  /** @param {Json} value @throws {Refusal} `keys.shape` */
  constructor(value) {
    if (!isObject(value)) throw new Refusal("keys.shape", "a key is an object");
    const given = new Map([["may_revoke_others", false], ...value]);
    for (const [name, fits] of MEMBERS) {
      if (!fits(given.get(name))) throw new Refusal("keys.shape", `${name} of a key is not as in K2`);
    }
    /** The key as K3 writes it: exactly these members. @type {Map<string, Json>} */
    this.value = new Map([...MEMBERS.keys()].map((name) => [name, given.get(name)]));
    /** @type {string} */
    this.id = given.get("key_id");
    /** @type {Uint8Array} */
    this.publicKey = fromHex(given.get("public_key_hex"));
    /** K1. @type {string} */
    this.fingerprint = hex(sha256(this.publicKey)).slice(0, 32);
    /** @type {boolean} */
    this.mayRevokeOthers = given.get("may_revoke_others");
  }

  /** Whether the key may sign this type (K2). @param {string} eventType */
  maySign(eventType) {
    return this.value.get("event_types").some((one) => one === "*" || one === eventType);
  }

  /** Whether the window holds an instant: from inclusive, until exclusive (K2). @param {string} at */
  holds(at) {
    const [from, until] = [this.value.get("valid_from"), this.value.get("valid_until")];
    return (from === null || at >= instant(from)) && (until === null || at < instant(until));
  }
}

/** Upstream's key (K2). */
export const BUILT_IN = new Key(
  new Map([
    ["key_id", "pith-v1-2026-05"],
    ["algorithm", "ed25519"],
    ["public_key_hex", "b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3"],
    ["signer_id", "pith.science"],
    ["signer_type", "pith_registry"],
    ["valid_from", null],
    ["valid_until", null],
    ["event_types", ["*"]],
    ["may_revoke_others", true],
  ]),
);

/** The keys that are trusted, and no others (K2). */
export class KeySet {
  /**
   * @param {Key[]} keys
   * @throws {Refusal} `keys.conflict` if two of one id differ as K3 writes them, or one is not the
   *   built-in key and has its id
   */
  constructor(keys) {
    /** @type {Map<string, Key>} */
    this.byId = new Map();
    for (const key of keys) {
      const other = key.id === BUILT_IN.id ? BUILT_IN : this.byId.get(key.id);
      if (other && !isEqual(other.value, key.value)) {
        throw new Refusal("keys.conflict", `two different keys have the key_id ${key.id}`);
      }
      this.byId.set(key.id, key);
    }
  }

  /** @param {string} keyId @returns {Key | undefined} */
  get(keyId) {
    return this.byId.get(keyId);
  }

  /** @returns {Key[]} ascending by id */
  keys() {
    return [...this.byId.values()].sort(by((key) => key.id));
  }

  /** K3. @returns {string} 64 digits */
  digest() {
    return digestOf(this.keys().map((key) => key.value));
  }
}

/** The set of upstream's key alone. */
export const BUILT_IN_SET = new KeySet([BUILT_IN]);

/**
 * The keys of a key set file, added to the built-in one (K2).
 * @param {Uint8Array} bytes
 * @param {{withBuiltIn?: boolean}} [options] without it, if the built-in key was removed
 * @returns {KeySet}
 * @throws {Refusal} with a code of V1, `keys.shape`, `keys.conflict`; `profiles.unsupported` if the
 *   file trusts envelopes beside that of E1, of which this implementation knows none
 */
export function parseKeySet(bytes, { withBuiltIn = true } = {}) {
  const file = parse(bytes);
  const items = isObject(file) ? file.get("keys") : null;
  if (!Array.isArray(items)) throw new Refusal("keys.shape", "no key set file: it has no list `keys`");
  const keys = items.map((item) => new Key(item));
  const profiles = file.has("profiles") ? file.get("profiles") : [];
  if (!Array.isArray(profiles)) throw new Refusal("keys.shape", "`profiles` is no list");
  if (profiles.length > 0) {
    throw new Refusal("profiles.unsupported", "other envelopes than that of E1 are not read here");
  }
  return new KeySet(withBuiltIn ? [BUILT_IN, ...keys] : keys);
}
