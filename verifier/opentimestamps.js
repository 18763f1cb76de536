/** Detached time-stamp files of OpenTimestamps, version 1, against Bitcoin block headers. */

import { sha256 } from "./hashes.js";
import { hex } from "./values.js";

/**
 * @typedef {object} Attestation
 * @property {"bitcoin" | "calendar" | "other"} kind
 * @property {Uint8Array} message that it is about
 * @property {number} height of the block; 0 unless it is one of Bitcoin
 */
/** @typedef {"anchored" | "wrong block" | "no header" | "not checked" | "other digest" | "malformed"} ProofStatus */
/** @typedef {{status: ProofStatus, height?: number, time?: string, hash?: string}} ProofResult */

const MAGIC = "004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294";
const BITCOIN = "0588960d73d71901";
const CALENDAR = "83dfe30d2ef90c8e";
const [MOST_BYTES, MOST_DEPTH, MOST_STEPS] = [4096, 256, 10_000];

/** A proof that is not one. */
class Malformed extends Error {}

/** A proof with a step that this program cannot take. */
class Unknown extends Error {}

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.steps = 0;
  }

  /** @param {number} count @returns {Uint8Array} */
  take(count) {
    const end = this.at + count;
    if (end > this.bytes.length) throw new Malformed("it ends too early");
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  byte() {
    return this.take(1)[0];
  }

  /** An integer in groups of seven bits, the least first. */
  number() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Malformed("a number is too large");
  }

  /** @param {number} most */
  text(most = MOST_BYTES) {
    const length = this.number();
    if (length > most) throw new Malformed("a part is too long");
    return this.take(length);
  }
}

/** @param {Reader} reader @param {number} tag @param {Uint8Array} message */
function applied(reader, tag, message) {
  if (tag === 0x08) return sha256(message);
  if (tag === 0xf0) return Uint8Array.of(...message, ...reader.text());
  if (tag === 0xf1) return Uint8Array.of(...reader.text(), ...message);
  throw new Unknown(`a step of the kind ${tag.toString(16)}`);
}

/** @param {Reader} reader @param {Uint8Array} message @returns {Attestation} */
function attestation(reader, message) {
  const tag = hex(reader.take(8));
  const payload = new Reader(reader.text(8192));
  if (tag === BITCOIN) return { kind: "bitcoin", message, height: payload.number() };
  return { kind: tag === CALENDAR ? "calendar" : "other", message, height: 0 };
}

/** All attestations below a message. @param {Reader} reader @returns {Attestation[]} */
function attestations(reader, message, depth = 0) {
  reader.steps += 1;
  if (depth > MOST_DEPTH || reader.steps > MOST_STEPS) throw new Malformed("it has too many steps");
  if (message.length > MOST_BYTES) throw new Malformed("a message is too long");
  const found = [];
  for (let isLast = false; !isLast; ) {
    let tag = reader.byte();
    isLast = tag !== 0xff;
    if (!isLast) tag = reader.byte();
    const below =
      tag === 0
        ? [attestation(reader, message)]
        : attestations(reader, applied(reader, tag, message), depth + 1);
    found.push(...below);
  }
  return found;
}

/** @param {Uint8Array} proof @returns {{digest: Uint8Array, found: Attestation[]}} */
function parsed(proof) {
  const reader = new Reader(proof);
  if (hex(reader.take(31)) !== MAGIC) throw new Malformed("it is no time-stamp file");
  if (reader.number() !== 1) throw new Unknown("another version");
  if (reader.byte() !== 0x08) throw new Unknown("a hash other than SHA-256");
  const digest = reader.take(32);
  const found = attestations(reader, digest);
  if (reader.at !== proof.length) throw new Malformed("something follows it");
  return { digest, found };
}

// Block headers -------------------------------------------------------------------------------

/** @param {Uint8Array} bytes */
const reversed = (bytes) => bytes.slice().reverse();

/** The hash of a header, as it is displayed. @param {Uint8Array} header 80 bytes */
export const blockHash = (header) => hex(reversed(sha256(sha256(header))));

/** Whether the hash of a header is below the target that it names. @param {Uint8Array} header */
function hasWork(header) {
  const bits = new DataView(header.buffer, header.byteOffset, 80).getUint32(72, true);
  const [exponent, mantissa] = [bits >>> 24, bits & 0x7fffff];
  if (bits & 0x800000 || mantissa === 0 || exponent > 32) return false;
  const shift = 8n * (BigInt(exponent) - 3n);
  const target = shift < 0n ? BigInt(mantissa) >> -shift : BigInt(mantissa) << shift;
  return BigInt(`0x${blockHash(header)}`) <= target;
}

/** @param {Attestation} one @param {Map<number, Uint8Array>} headers @returns {ProofResult} */
function judged({ kind, message, height }, headers) {
  if (kind !== "bitcoin") return { status: "not checked" };
  const header = headers.get(height);
  if (!header || !hasWork(header)) return { status: "no header", height };
  if (hex(header.subarray(36, 68)) !== hex(message)) return { status: "wrong block", height };
  const seconds = new DataView(header.buffer, header.byteOffset, 80).getUint32(68, true);
  const time = new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
  return { status: "anchored", height, time, hash: blockHash(header) };
}

const BEST_FIRST = ["anchored", "no header", "wrong block", "not checked"];

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
    if (error instanceof Unknown) return { status: "not checked" };
    if (error instanceof Malformed) return { status: "malformed" };
    throw error;
  }
  if (hex(read.digest) !== digest) return { status: "other digest" };
  const rank = ({ status }) => BEST_FIRST.indexOf(status);
  const results = read.found.map((one) => judged(one, headers));
  results.sort((a, b) => rank(a) - rank(b) || (a.height ?? 0) - (b.height ?? 0));
  return results[0];
}
