/**
 * Detached time-stamp files of OpenTimestamps, version 1, against Bitcoin block headers.
 *
 * What follows a hash other than SHA-256 is read, and not checked.
 */

import { blockHash, difficultyWords, hasWork, timeOf } from "./block_headers.js";
import { sha256 } from "./hashes.js";
import { hex, utf8 } from "./values.js";

/**
 * @typedef {object} Attestation
 * @property {"bitcoin" | "other"} kind
 * @property {string} message that it is about, in hexadecimal
 * @property {number} height of the block; 0 unless it is one of Bitcoin
 */
/** @typedef {"anchored" | "wrong block" | "no header" | "not checked" | "other digest" | "malformed"} ProofStatus */
/** @typedef {{status: ProofStatus, height?: number, time?: string, hash?: string, work?: string}} ProofResult */

const MAGIC = "004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294";
const BITCOIN = "0588960d73d71901";
const CALENDAR = "83dfe30d2ef90c8e";
const OTHER_CHAINS = ["06869a0d73d71b45", "30fe8087b5c7ead7"]; // Litecoin, Ethereum
const URI = /^[A-Za-z0-9._/:-]*$/u;
const SHA256 = 0x08;
/** Bytes of a digest, by the tag of the hash: SHA-1, RIPEMD-160, SHA-256, Keccak-256. */
const LENGTHS = new Map([[0x02, 20], [0x03, 20], [SHA256, 32], [0x67, 32]]);
const [MOST_PROOF_BYTES, MOST_READS, MOST_BYTES, MOST_DEPTH] = [65_536, 8_000, 4096, 256];
const MOST_HEIGHT = 2 ** 32 - 1;

/** A proof that is not one. */
class Malformed extends Error {}

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.reads = 0;
  }

  /** @param {number} count @returns {Uint8Array} */
  take(count) {
    this.reads += 1;
    if (this.reads > MOST_READS) throw new Malformed("it has too many operations");
    const end = this.at + count;
    if (end > this.bytes.length) throw new Malformed("it ends too early");
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  byte() {
    return this.take(1)[0];
  }

  /** An integer in groups of seven bits, the least first; Infinity for a very large one. */
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (byte & 0x7f) value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** @param {number} most @param {number} least */
  text(most, least = 0) {
    const length = this.number();
    if (length > most || length < least) throw new Malformed("a part has a wrong length");
    return this.take(length);
  }

  requireEnd() {
    if (this.at !== this.bytes.length) throw new Malformed("something follows the end");
  }
}

/**
 * The message after an operation, and whether it is known.
 * @param {number} tag @param {Uint8Array} argument @param {Uint8Array} message
 */
function applied(tag, argument, message) {
  if (tag === SHA256) return sha256(message);
  if (tag === 0xf0) return Uint8Array.of(...message, ...argument);
  if (tag === 0xf1) return Uint8Array.of(...argument, ...message);
  if (tag === 0xf2) return message.slice().reverse();
  if (tag === 0xf3) return utf8(hex(message));
  if (LENGTHS.has(tag)) return new Uint8Array(LENGTHS.get(tag)); // of a hash that is not made here
  throw new Malformed(`an operation ${tag.toString(16)}`);
}

/** @param {Reader} reader @param {Uint8Array} message @param {boolean} isKnown @returns {Attestation} */
function attestation(reader, message, isKnown) {
  const tag = hex(reader.take(8));
  const payload = new Reader(reader.text(8192));
  const other = { kind: "other", message: hex(message), height: 0 };
  if (tag === CALENDAR) {
    const uri = new TextDecoder("latin1").decode(payload.text(1000));
    if (!URI.test(uri)) throw new Malformed("the address of a calendar is none");
  } else if (tag === BITCOIN || OTHER_CHAINS.includes(tag)) {
    other.height = payload.number();
  } else {
    return other;
  }
  payload.requireEnd();
  if (tag !== BITCOIN) return other;
  if (other.height > MOST_HEIGHT) throw new Malformed("a height that no block has");
  return isKnown ? { ...other, kind: "bitcoin" } : other;
}

/** All attestations below a message. @param {Reader} reader @returns {Attestation[]} */
function attestations(reader, message, isKnown = true, depth = 0) {
  if (depth >= MOST_DEPTH) throw new Malformed("it is too deep");
  if (message.length > MOST_BYTES) throw new Malformed("a message is too long");
  const found = new Map(); // by operation: of two that are the same the last one counts
  for (let isLast = false; !isLast; ) {
    let tag = reader.byte();
    isLast = tag !== 0xff;
    if (!isLast) tag = reader.byte();
    if (tag === 0) {
      found.set(`attestation ${found.size}`, [attestation(reader, message, isKnown)]);
    } else {
      const argument = tag === 0xf0 || tag === 0xf1 ? reader.text(MOST_BYTES, 1) : new Uint8Array();
      const isNext = isKnown && (tag === SHA256 || !LENGTHS.has(tag));
      const below = attestations(reader, applied(tag, argument, message), isNext, depth + 1);
      found.set(`${tag} ${hex(argument)}`, below);
    }
  }
  return [...found.values()].flat();
}

/** @param {Uint8Array} proof @returns {{isSha256: boolean, digest: string, found: Attestation[]}} */
function parsed(proof) {
  if (proof.length > MOST_PROOF_BYTES) throw new Malformed("it is too long");
  const reader = new Reader(proof);
  if (hex(reader.take(31)) !== MAGIC) throw new Malformed("it is no time-stamp file");
  if (reader.number() !== 1) throw new Malformed("it has another version");
  const hash = reader.byte();
  if (!LENGTHS.has(hash)) throw new Malformed("it is about a hash that nobody knows");
  const digest = reader.take(LENGTHS.get(hash));
  const found = attestations(reader, digest);
  reader.take(0);
  reader.requireEnd();
  return { isSha256: hash === SHA256, digest: hex(digest), found };
}

/** @param {Attestation} one @param {Map<number, Uint8Array>} headers @returns {ProofResult} */
function judged({ kind, message, height }, headers) {
  if (kind !== "bitcoin") return { status: "not checked" };
  const header = headers.get(height);
  if (!header || !hasWork(header)) return { status: "no header", height };
  if (hex(header.subarray(36, 68)) !== message) return { status: "wrong block", height };
  const [time, hash, work] = [timeOf(header), blockHash(header), difficultyWords(header)];
  return { status: "anchored", height, time, hash, work };
}

const BEST_FIRST = ["anchored", "no header", "wrong block", "not checked"];

/** The order of two numbers or texts. */
const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The best result of a proof, of several blocks the earliest.
 * @param {Uint8Array} proof @param {string} digest of 64 digits
 * @param {Map<number, Uint8Array>} headers of 80 bytes, by height
 * @returns {ProofResult}
 */
export function checkProof(proof, digest, headers) {
  let read;
  try {
    read = parsed(proof);
  } catch (error) {
    if (error instanceof Malformed) return { status: "malformed" };
    throw error;
  }
  if (!read.isSha256 || read.digest !== digest) return { status: "other digest" };
  const rank = ({ status }) => BEST_FIRST.indexOf(status);
  const found = read.found.sort((a, b) => order(a.message, b.message) || a.height - b.height);
  const results = found.map((one) => judged(one, headers));
  results.sort((a, b) => rank(a) - rank(b) || order(a.time ?? "", b.time ?? ""));
  return results[0];
}
