/**
 * SHA-256 and SHA-512 (FIPS 180-4), without WebCrypto.
 *
 * WebCrypto hashes asynchronously, and only on pages that were loaded over HTTPS or from this
 * machine. Here a digest is an ordinary function value, everywhere.
 */

/** The first primes. @param {number} count @returns {bigint[]} */
function primes(count) {
  const found = [];
  for (let candidate = 2n; found.length < count; candidate += 1n) {
    if (found.every((prime) => candidate % prime !== 0n)) found.push(candidate);
  }
  return found;
}

/** The whole part of a root, by bisection. @param {bigint} n @param {bigint} degree */
function wholeRoot(n, degree) {
  let [low, high] = [0n, 1n << 80n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= n) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The first 64 bits of the fractions of roots of the first primes: the constants of both functions
 * (FIPS 180-4 sections 4.2.2, 4.2.3, 5.3.3, 5.3.5). SHA-256 uses the upper half of each.
 * @param {number} count @param {bigint} degree @returns {bigint[]}
 */
function fractionsOfRoots(count, degree) {
  return primes(count).map((prime) => {
    return BigInt.asUintN(64, wholeRoot(prime << (64n * degree), degree));
  });
}

const START = fractionsOfRoots(8, 2n);
const ROUNDS = fractionsOfRoots(80, 3n);
const START_32 = Uint32Array.from(START, (word) => Number(word >> 32n));
const ROUNDS_32 = Uint32Array.from(ROUNDS.slice(0, 64), (word) => Number(word >> 32n));

/**
 * The message with its padding (FIPS 180-4 section 5.1).
 * @param {Uint8Array} message
 * @param {number} block bytes in a block: 64 or 128
 */
function padded(message, block) {
  const lengthBytes = block / 8;
  const blocks = Math.ceil((message.length + 1 + lengthBytes) / block);
  const bytes = new Uint8Array(blocks * block);
  bytes.set(message);
  bytes[message.length] = 0x80;
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt(message.length) * 8n);
  return bytes;
}

/** @param {number} word @param {number} count */
const rotated = (word, count) => (word >>> count) | (word << (32 - count));

/** @param {Uint32Array} schedule of 64 words, of which the first 16 are set */
function expand256(schedule) {
  for (let at = 16; at < 64; at += 1) {
    const [early, late] = [schedule[at - 15], schedule[at - 2]];
    const first = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const second = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    schedule[at] = schedule[at - 16] + first + schedule[at - 7] + second;
  }
}

/** One block of SHA-256. @param {Uint32Array} state @param {Uint32Array} schedule */
function compress256(state, schedule) {
  let [a, b, c, d, e, f, g, h] = state;
  for (let at = 0; at < 64; at += 1) {
    const sigma1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const first = (h + sigma1 + ((e & f) ^ (~e & g)) + ROUNDS_32[at] + schedule[at]) | 0;
    const sigma0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const second = (sigma0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => {
    state[at] += word;
  });
}

/** SHA-256 (V3). @param {Uint8Array} message @returns {Uint8Array} 32 bytes */
export function sha256(message) {
  const bytes = padded(message, 64);
  const view = new DataView(bytes.buffer);
  const state = START_32.slice();
  const schedule = new Uint32Array(64);
  for (let start = 0; start < bytes.length; start += 64) {
    for (let at = 0; at < 16; at += 1) schedule[at] = view.getUint32(start + 4 * at);
    expand256(schedule);
    compress256(state, schedule);
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, at) => digest.setUint32(4 * at, word));
  return new Uint8Array(digest.buffer);
}

/** @param {bigint} word of 64 bits @param {bigint} count */
const rotated64 = (word, count) => (word >> count) | BigInt.asUintN(64, word << (64n - count));

/** @param {BigUint64Array} schedule of 80 words, of which the first 16 are set */
function expand512(schedule) {
  for (let at = 16; at < 80; at += 1) {
    const [early, late] = [schedule[at - 15], schedule[at - 2]];
    const first = rotated64(early, 1n) ^ rotated64(early, 8n) ^ (early >> 7n);
    const second = rotated64(late, 19n) ^ rotated64(late, 61n) ^ (late >> 6n);
    schedule[at] = schedule[at - 16] + first + schedule[at - 7] + second;
  }
}

/** One block of SHA-512. @param {BigUint64Array} state @param {BigUint64Array} schedule */
function compress512(state, schedule) {
  let [a, b, c, d, e, f, g, h] = state;
  for (let at = 0; at < 80; at += 1) {
    const sigma1 = rotated64(e, 14n) ^ rotated64(e, 18n) ^ rotated64(e, 41n);
    const first = h + sigma1 + ((e & f) ^ (~e & g)) + ROUNDS[at] + schedule[at];
    const sigma0 = rotated64(a, 28n) ^ rotated64(a, 34n) ^ rotated64(a, 39n);
    const second = sigma0 + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e] = [g, f, e, BigInt.asUintN(64, d + first)];
    [d, c, b, a] = [c, b, a, BigInt.asUintN(64, first + second)];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => {
    state[at] += word;
  });
}

/**
 * SHA-512, for S1 where WebCrypto has no Ed25519. It is slow: its inputs are of 96 bytes.
 * @param {Uint8Array} message @returns {Uint8Array} 64 bytes
 */
export function sha512(message) {
  const bytes = padded(message, 128);
  const view = new DataView(bytes.buffer);
  const state = BigUint64Array.from(START);
  const schedule = new BigUint64Array(80);
  for (let start = 0; start < bytes.length; start += 128) {
    for (let at = 0; at < 16; at += 1) schedule[at] = view.getBigUint64(start + 8 * at);
    expand512(schedule);
    compress512(state, schedule);
  }
  const digest = new DataView(new ArrayBuffer(64));
  state.forEach((word, at) => digest.setBigUint64(8 * at, word));
  return new Uint8Array(digest.buffer);
}
