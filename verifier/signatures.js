/** Chapter 3: which signatures are accepted (S1), and receipts (S2). */

import { L, decodePoint, isCanonical, littleEndian, satisfiesEquation } from "./ed25519.js";
import { fromHex, hex, instant, isObject, isString, isTime, strictBase64 } from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./keys.js").Key} Key */
/** @typedef {import("./keys.js").KeySet} KeySet */
/** @typedef {(a: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>} Backend */

/** The y of all points whose order divides 8 (S1, check 5). */
const SMALL_ORDER = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** @param {Uint8Array} bytes 32 bytes */
function hasSmallOrder(bytes) {
  const y = bytes.slice();
  y[31] &= 0x7f; // whatever the sign bit is
  return SMALL_ORDER.has(hex(y));
}

/** S1, checks 3 and 5 on A or R. @param {Uint8Array} bytes 32 bytes */
const isAllowedEncoding = (bytes) => isCanonical(bytes) && !hasSmallOrder(bytes);

/** S1's checks on A: 1, 3, 4 and 5. @param {Uint8Array} bytes */
export function isPublicKey(bytes) {
  return bytes.length === 32 && isAllowedEncoding(bytes) && decodePoint(bytes) !== null;
}

/** S1's checks on the signature that need no curve: 1, 2, 3 and 5. @param {Uint8Array} signature */
function isWellFormed(signature) {
  if (signature.length !== 64) return false;
  if (littleEndian(signature.subarray(32)) >= L) return false;
  return isAllowedEncoding(signature.subarray(0, 32));
}

// Backends: check 6, and check 4 on R, which no result of the equation passes without ---------

/** @type {Backend} */
export async function byHand(a, message, signature) {
  return satisfiesEquation(a, message, signature);
}

/** @type {Map<string, Promise<CryptoKey>>} */
const importedKeys = new Map();

/** @param {Uint8Array} a @returns {Promise<CryptoKey>} */
function imported(a) {
  const name = hex(a);
  if (!importedKeys.has(name)) {
    const key = globalThis.crypto.subtle.importKey("raw", a, { name: "Ed25519" }, false, ["verify"]);
    importedKeys.set(name, key);
  }
  return importedKeys.get(name);
}

/** @type {Backend} */
export async function byWebCrypto(a, message, signature) {
  const key = await imported(a);
  return globalThis.crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
}

/** Cases 3 and 4 of "Taming the many EdDSAs": the second needs the cofactor, so it is not accepted. */
const PROBE_KEY = "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d";
const PROBES = [
  [
    "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f" +
      "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    true,
  ],
  [
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512" +
      "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    false,
  ],
];

/** Whether a backend answers as S1 wants where backends differ. @param {Backend} backend */
export async function isUsable(backend) {
  try {
    for (const [message, signature, expected] of PROBES) {
      const answer = await backend(fromHex(PROBE_KEY), fromHex(message), fromHex(signature));
      if (answer !== expected) return false;
    }
    return true;
  } catch {
    return false; // no WebCrypto on this page, or one without Ed25519
  }
}

/** @type {Promise<Backend> | undefined} */
let chosen;

/** WebCrypto where it keeps to S1's equation, else our own. @returns {Promise<Backend>} */
export function backend() {
  chosen ??= isUsable(byWebCrypto).then((usable) => (usable ? byWebCrypto : byHand));
  return chosen;
}

/**
 * Whether S1 accepts a signature.
 * @param {Uint8Array} a public key
 * @param {Uint8Array} message
 * @param {Uint8Array} signature
 * @param {Backend} [using]
 * @returns {Promise<boolean>}
 */
export async function isAccepted(a, message, signature, using) {
  if (!isPublicKey(a)) return false;
  return isAcceptedOfKey(a, message, signature, using);
}

/** S1 for a key of a key set, which passed the checks on A (K2). */
async function isAcceptedOfKey(a, message, signature, using) {
  if (!isWellFormed(signature)) return false;
  const verifies = using ?? (await backend());
  return verifies(a, message, signature);
}

/**
 * Whether the text is strict base64 of a signature that S1 accepts (S2, E3).
 * @param {Key} key @param {string} digest what was signed, as its raw bytes @param {Json} text
 * @returns {Promise<boolean>}
 */
export async function isSignedBy(key, digest, text) {
  if (!isString(text) || text.length !== 88) return false; // 64 bytes have one length in base64
  const signature = strictBase64(text);
  return signature !== null && isAcceptedOfKey(key.publicKey, fromHex(digest), signature);
}

// S2 Receipts --------------------------------------------------------------------------------

/** @param {Json} value @returns {boolean} S2, order 1 */
function isReceipt(value) {
  return (
    isObject(value) &&
    value.get("kind") === "pith_receipt" &&
    value.get("algorithm") === "ed25519" &&
    isString(value.get("key_id")) &&
    isTime(value.get("signed_at")) &&
    isString(value.get("signature_b64"))
  );
}

/**
 * The verdict on a receipt (S2): the first code that fits, or null if it passes.
 * @param {Json} value whatever its type
 * @param {string} canonicalSha256 of the record
 * @param {KeySet} keys
 * @returns {Promise<string | null>}
 */
export async function receiptCode(value, canonicalSha256, keys) {
  if (!isReceipt(value)) return "receipt.shape";
  const key = keys.get(value.get("key_id"));
  if (!key) return "receipt.key_unknown";
  if (!key.maySign("record_created")) return "receipt.role";
  if (!key.holds(instant(value.get("signed_at")))) return "receipt.key_window";
  const isSigned = await isSignedBy(key, canonicalSha256, value.get("signature_b64"));
  return isSigned ? null : "receipt.signature";
}
