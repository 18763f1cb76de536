/** S1: both backends accept one set of signatures, and it is that of the rule. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { L } from "../ed25519.js";
import { backend, byHand, byWebCrypto, isAccepted, isPublicKey, isUsable } from "../signatures.js";
import { fromHex, hex } from "../values.js";
import { corpus } from "./samples.js";

/** RFC 8032 section 7.1, test 2. */
const KEY = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const MESSAGE = "72";
const SIGNATURE =
  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

const hasWebCrypto = await isUsable(byWebCrypto);
const absent = hasWebCrypto ? false : "this Node's WebCrypto has no Ed25519";

const BACKENDS = [
  ["by hand", byHand, false],
  ["by WebCrypto", byWebCrypto, absent],
];

/** @param {string} key @param {string} message @param {string} signature all hexadecimal */
const accepts = (key, message, signature, using) => {
  return isAccepted(fromHex(key), fromHex(message), fromHex(signature), using);
};

/** A number as 32 bytes, little-endian, in hexadecimal. @param {bigint} number */
const encoded = (number) => hex(fromHex(number.toString(16).padStart(64, "0")).reverse());

/** The number of 32 bytes, little-endian. @param {string} digits hexadecimal */
const littleEndian = (digits) => BigInt(`0x${hex(fromHex(digits).reverse())}`);

test("the equation is verified by WebCrypto where it can be", async () => {
  assert.ok(await isUsable(byHand));
  assert.equal(await backend(), hasWebCrypto ? byWebCrypto : byHand);
});

test("a backend that multiplies by the cofactor, or fails, is not used", async () => {
  assert.equal(await isUsable(async () => true), false);
  assert.equal(await isUsable(async () => false), false);
  assert.equal(await isUsable(async () => Promise.reject(new Error("NotSupportedError"))), false);
});

const SMALL = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/** With the sign bit set, and the encodings that are not canonical. */
const ODD = [
  ...SMALL.map((y) => encoded(littleEndian(y) | (1n << 255n))),
  ...[0n, 1n, 18n].flatMap((over) => [0n, 1n << 255n].map((sign) => encoded((2n ** 255n - 19n + over) | sign))),
];

test("S1: which keys are accepted at all", () => {
  assert.ok(isPublicKey(fromHex(KEY)));
  for (const key of [...SMALL, ...ODD]) assert.equal(isPublicKey(fromHex(key)), false);
  assert.equal(isPublicKey(fromHex(encoded(2n))), false); // no point of the curve has this y
  assert.equal(isPublicKey(fromHex(KEY.slice(2))), false);
  assert.equal(isPublicKey(fromHex(`${KEY}00`)), false);
});

for (const [name, using, skip] of BACKENDS) {
  test(`S1 ${name}: a signature, and each bit of it changed`, { skip }, async () => {
    assert.ok(await accepts(KEY, MESSAGE, SIGNATURE, using));
    for (let bit = 0; bit < 512; bit += using === byHand ? 7 : 1) {
      const changed = fromHex(SIGNATURE);
      changed[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(await isAccepted(fromHex(KEY), fromHex(MESSAGE), changed, using), false);
    }
    assert.equal(await accepts(KEY, "73", SIGNATURE, using), false);
    assert.equal(await accepts(KEY, MESSAGE, SIGNATURE.slice(2), using), false);
    assert.equal(await accepts(KEY, MESSAGE, `${SIGNATURE}00`, using), false);
  });

  test(`S1 ${name}: S below L, R canonical, on the curve and not of small order`, { skip }, async () => {
    const [r, s] = [SIGNATURE.slice(0, 64), SIGNATURE.slice(64)];
    const larger = encoded(littleEndian(s) + L);
    assert.equal(await accepts(KEY, MESSAGE, r + larger, using), false);
    for (const odd of [...SMALL, ...ODD, encoded(2n)]) {
      assert.equal(await accepts(KEY, MESSAGE, odd + s, using), false);
      assert.equal(await accepts(odd, MESSAGE, SIGNATURE, using), false);
    }
  });

  const edges = corpus("speccheck/cases.json");
  test(`S1 ${name}: the cases of "Taming the many EdDSAs"`, { skip: edges ? skip : "the corpora are absent" }, async () => {
    const cases = JSON.parse(readFileSync(edges, "utf-8"));
    const found = [];
    for (const one of cases) found.push(await accepts(one.pub_key, one.message, one.signature, using));
    assert.deepEqual(found, cases.map((_, at) => at === 3));
  });

  const vectors = corpus("wycheproof/ed25519_test.json");
  test(`S1 ${name}: Project Wycheproof`, { skip: vectors ? skip : "the corpora are absent" }, async () => {
    const { testGroups } = JSON.parse(readFileSync(vectors, "utf-8"));
    for (const group of testGroups) {
      const key = (group.publicKey ?? group.key).pk;
      for (const one of group.tests) {
        const found = await accepts(key, one.msg, one.sig, using);
        assert.equal(found, one.result === "valid", `case ${one.tcId}`);
      }
    }
  });
}
