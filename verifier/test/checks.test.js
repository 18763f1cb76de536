/** What a mirror serves and shows, held against itself. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkRecord,
  compactText,
  compose,
  mergeAll,
  parse,
  parseBundle,
  parseKeySet,
  verdictOf,
  verifyBundle,
} from "../index.js";
import { utf8 } from "../values.js";
import { bagged, sample } from "./samples.js";

const KEYS = parseKeySet(sample("demo-keys.json"));
const KEY_FILE = utf8(compactText(new Map([["keys", KEYS.keys().map((key) => key.value)]])));

/** What an honest mirror serves and shows of a record of demo.tar. @param {number} at */
async function honest(at) {
  const bundle = await verifyBundle(parseBundle(bagged("demo.tar")[at]), KEYS);
  const [state] = mergeAll([bundle]);
  const { record } = bundle;
  const served = { bundle: utf8(compose([bundle])), keys: KEY_FILE, state: utf8(state.text) };
  const shown = {
    pithNumber: record.pithNumber,
    canonicalSha256: record.canonicalSha256,
    stateDigest: state.digest,
    keySetDigest: KEYS.digest(),
    aliases: record.aliases(),
  };
  return { served, shown };
}

const failures = ({ checks }) => checks.filter((one) => one.outcome === "differs").map((one) => one.what);

test("an honest mirror agrees with itself on every record", async () => {
  for (let at = 0; at < bagged("demo.tar").length; at += 1) {
    const { served, shown } = await honest(at);
    const report = await checkRecord(served, shown);
    assert.deepEqual(failures(report), []);
    assert.match(verdictOf(report), /^The page agrees with the evidence/);
  }
});

test("each thing that the page shows is compared", async () => {
  const { served, shown } = await honest(0);
  const changed = {
    pithNumber: "Pith Number of that hash",
    canonicalSha256: "Hash of the record",
    stateDigest: "State digest",
    keySetDigest: "Key set digest",
  };
  for (const [name, what] of Object.entries(changed)) {
    const report = await checkRecord(served, { ...shown, [name]: "another" });
    assert.deepEqual(failures(report), [what]);
    assert.match(verdictOf(report), new RegExp(`1 of \\d+ checks failed: ${what}\\.`));
  }
  const fewer = await checkRecord(served, { ...shown, aliases: shown.aliases.slice(1) });
  const more = await checkRecord(served, { ...shown, aliases: [...shown.aliases, ["x", "y"]] });
  assert.deepEqual([failures(fewer), failures(more)], [["Alias arxiv"], ["Alias x"]]);
});

test("a state is compared byte for byte, and it is said how it differs", async () => {
  const { served, shown } = await honest(0);
  const state = parse(served.state);
  const text = new TextDecoder().decode(served.state);
  const cases = [
    [`${text} `, "its members are in another order, or spelled otherwise"],
    ["{}", "it is not a state"],
    ["[", "it is not a state"],
    [text.replace('"event_count":', '"event_count":1'), "these members differ: event_count"],
    [compactText(new Map([...state, ["more", 1]])), "these members differ: more"],
  ];
  for (const [other, words] of cases) {
    const report = await checkRecord({ ...served, state: utf8(other) }, shown);
    assert.deepEqual(failures(report), ["State as served"]);
    assert.equal(report.checks.at(-1).compared.at(-1), words);
  }
});

test("a bundle that is not the composed one is seen, though it says the same", async () => {
  const { served, shown } = await honest(0);
  const text = new TextDecoder().decode(served.bundle);
  const report = await checkRecord({ ...served, bundle: utf8(` ${text}`) }, shown);
  assert.deepEqual(failures(report), ["Bundle as served"]);
});

test("without the registry's key, or with other envelopes, it is said what was not checked", async () => {
  const { served, shown } = await honest(0);
  const without = KEYS.keys().slice(0, -1).map((key) => key.value);
  const keys = utf8(compactText(new Map([["keys", without]])));
  const { checks } = await checkRecord({ ...served, keys }, shown);
  assert.equal(checks[1].outcome, "not checked");
  const others = utf8('{"keys":[],"profiles":[{"name":"other"}]}');
  const report = await checkRecord({ ...served, keys: others }, shown);
  assert.deepEqual(report.checks.map((one) => one.outcome), ["not checked"]);
  assert.equal(verdictOf(report), "This record cannot be verified here.");
});

test("names of JavaScript's own in items do nothing", async () => {
  const { served, shown } = await honest(0);
  const bundle = parse(served.bundle);
  const odd = [new Map([["__proto__", new Map([["event_type", "x"]])]]), new Map([["constructor", 1]]), null, 7];
  bundle.set("events", odd);
  const report = await checkRecord({ ...served, bundle: utf8(compactText(bundle)) }, shown);
  const events = report.checks.filter((one) => one.what.startsWith("Event "));
  assert.deepEqual(events.map((one) => [one.what.slice(9), one.code]), Array(4).fill(["(none)", "event.shape"]));
});
