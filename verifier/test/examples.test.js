/** The worked examples of docs/protocol.md, chapters 2 to 6. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BUILT_IN,
  BUILT_IN_SET,
  KeySet,
  compose,
  merge,
  parseBundle,
  parseKeySet,
  rootOf,
  verifyBundle,
} from "../index.js";
import { sha256 } from "../hashes.js";
import { receiptCode } from "../signatures.js";
import { canonicalText, digestOf, hex, payloadDigest, utf8 } from "../values.js";
import { bagged, sample } from "./samples.js";

const DEMO_KEYS = parseKeySet(sample("demo-keys.json"));
const PITH = bagged("pith.tar").map(parseBundle);
const DEMO = bagged("demo.tar").map(parseBundle);

/** @param {import("../index.js").Bundle[]} bundles @param {string} pithNumber */
const numbered = (bundles, pithNumber) => bundles.find((one) => one.record.pithNumber === pithNumber);

const AMPNET = numbered(PITH, "pith:2017:7SOLO26TLPZRGSRX2HH227CICV");
const SIGNED = numbered(PITH, "pith:2017:QVJLU2XL6QPRVRKFFVZUINAMO6");

/** The state of one bundle. */
const stateOf = async (bundle, keys) => merge([await verifyBundle(bundle, keys)]);

test("R1 to R4: arXiv 1705.09786, version 3", () => {
  const { record } = AMPNET;
  const hash = "fc9cb76bd35bf3134a37d1cfad7c48154932c3bb6a1ea5cfe29d2d97bacadff6";
  assert.equal(utf8(canonicalText(record.value)).length, 444);
  assert.deepEqual([record.canonicalSha256, record.shortPithNumber], [hash, "pith:7SOLO26T"]);
  assert.deepEqual(record.aliases(), [
    ["arxiv", "1705.09786"],
    ["arxiv_version", "1705.09786v3"],
    ["doi", "10.48550/arxiv.1705.09786"],
    ["pith_short_12", "7SOLO26TLPZR"],
    ["pith_short_16", "7SOLO26TLPZRGSRX"],
    ["pith_short_8", "7SOLO26T"],
  ]);
});

test("K1 to K3: the built-in key, and the digests of key sets", () => {
  const without = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
  const alone = "8b87f39f2449da3bd1894fbf0aec5b0e1d423457646a66dab052cd78c84308e1";
  assert.equal(BUILT_IN.fingerprint, "8d4b5ee74e4693bcd1df2446408b0d54");
  assert.equal(new KeySet([]).digest(), without);
  assert.equal(BUILT_IN_SET.digest(), alone);
  assert.equal(parseKeySet(utf8('{"keys":[]}'), { withBuiltIn: false }).digest(), without);
});

test("K2: a member that is no list of profiles, and one that holds some", () => {
  const file = (profiles) => utf8(`{"keys":[],"profiles":${profiles}}`);
  for (const profiles of ["null", "1", "{}"]) {
    assert.throws(() => parseKeySet(file(profiles)), { code: "keys.shape" });
  }
  assert.throws(() => parseKeySet(file("[{}]")), { code: "profiles.unsupported" });
});

test("S2: a real receipt; its time is not signed", async () => {
  const [receipt] = SIGNED.value.get("receipts");
  const code = (value, hash) => receiptCode(value, hash, BUILT_IN_SET);
  assert.equal(await code(receipt, SIGNED.record.canonicalSha256), null);
  const earlier = new Map([...receipt, ["signed_at", "1999-01-01T00:00:00Z"]]);
  assert.equal(await code(earlier, SIGNED.record.canonicalSha256), null);
  assert.equal(await code(receipt, AMPNET.record.canonicalSha256), "receipt.signature");
});

test("E2: the digests of an event", async () => {
  const digest = "ccbe1ef00198c04e2e795b8aedc4de044963356263c86b575d2171872b990041";
  const bundle = numbered(DEMO, "pith:2025:EJWVFYLWUGLCRHA7VSWSMMIDNO");
  const event = bundle.value.get("events")[3];
  assert.equal(event.get("event_id"), `sha256:${digest}`);
  assert.equal(digestOf(event), "1eb60809717ce1a9f8f0f7ea9204f870ecbb666300e91c607d2b8de18e53ea5b");
  const payload = "a4935518697c592c848328c5cbdd838fc1a23afb8999291a2c190fa14fb6e9fb";
  assert.equal(payloadDigest(event.get("payload")), payload);
  const { events } = await verifyBundle(bundle, DEMO_KEYS);
  assert.deepEqual(events[3].event.slotKey, [
    "https://orcid.org/0000-0002-1825-0097",
    "pith:2025:NQGOSQWC4PW6CNZIBD63YZNTZT",
    "replaces",
    null,
  ]);
});

test("M3 to M11: the record with revocations, slots and an equivocation", async () => {
  const bundle = numbered(DEMO, "pith:2025:NQGOSQWC4PW6CNZIBD63YZNTZT");
  const { value } = await stateOf(bundle, DEMO_KEYS);
  const short = (id) => id.slice(7, 15);
  const retired = value.get("retired_events").map((entry) => {
    return [short(entry.get("event_id")), entry.get("reason"), entry.get("by").map(short)];
  });
  const expected = [
    ["9b494b43", "revoked", ["53ecb089", "54f39c80"]],
    ["d7374fcc", "superseded", ["1a55ce6d"]],
    ["1a55ce6d", "withdrawn", []],
    ["148fecd2", "superseded", ["6984a865"]],
    ["6984a865", "revoked", ["feb6bd79"]],
  ];
  for (const entry of expected) assert.ok(retired.some((one) => one.join() === entry.join()), entry);
  const [equivocation] = value.get("equivocations");
  assert.deepEqual(equivocation.get("event_ids").map(short), ["148fecd2", "6984a865"]);
});

test("M7, M8: alias times and the receipt of two records", async () => {
  const two = DEMO.filter((one) => one.record.pithNumber === "pith:2025:5TZFM4EUWT5IWIQL3RIO3VIRXC");
  const state = merge(await Promise.all(two.map((one) => verifyBundle(one, DEMO_KEYS))));
  const times = (value) => value.get("current").get("source_aliases").map((one) => one.get("created_at"));
  const first = "2025-11-01T00:00:00Z";
  const claimed = ["2026-03-21T00:00:00Z", "2026-03-21T00:00:00+00:00", first];
  assert.deepEqual(times(state.value).slice(0, 3), claimed);
  const { value } = await stateOf(numbered(DEMO, "pith:2025:EJWVFYLWUGLCRHA7VSWSMMIDNO"), DEMO_KEYS);
  assert.deepEqual([times(value)[0], times(value)[2]], ["2025-07-01T00:00:00Z", null]);
  const receipt = value.get("current").get("receipt");
  assert.deepEqual([receipt.get("key_id"), receipt.get("signed_at")], ["demo-registry-2025", null]);
});

test("M12, M13 and the root of two states", async () => {
  const [one, other] = [await stateOf(AMPNET, BUILT_IN_SET), await stateOf(SIGNED, BUILT_IN_SET)];
  assert.equal(one.text.length, 1444);
  assert.equal(one.coreDigest, "450c7e0e44d4787e0e1bf10d0b83010e83be7d9e262c8843d687978a11548d1c");
  assert.equal(other.digest, "b2f97c7344fb54ffed709d698cfba9d1cdb4af884b08683ffb3e5ea86c102918");
  assert.equal(other.coreDigest, "c9fc5296ba3ec4d6e6be8cad8872a561b0f9e6b31048c821b4d43578e49a8ee8");
  assert.equal(rootOf([]), "0".repeat(64));
  assert.equal(rootOf([one]), "2d21f0b22dbb9e9a7187c5a4c333878a9b6298511dd1bb6a00dff5bf610f8239");
  const both = "a4e8d475d8a9662888654108c5ebf24c5d7d2fcd1364411b85f8a184b28c08b3";
  assert.equal(rootOf([one, other]), both);
});

test("B6: a composed bundle", async () => {
  const text = utf8(compose([await verifyBundle(AMPNET, BUILT_IN_SET)]));
  assert.equal(text.length, 791);
  const digest = "97f0cba27c437497b6f8dfd9df8c6781559bf50fb0797a718c68525719093bc9";
  assert.equal(hex(sha256(text)), digest);
});
