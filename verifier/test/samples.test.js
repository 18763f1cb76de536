/** The committed samples give what is committed beside them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BUILT_IN_SET,
  compose,
  mergeAll,
  parseBundle,
  parseKeySet,
  rootOf,
  verifyBundle,
} from "../index.js";
import { bagged, invalidCodes, linesOf, sample } from "./samples.js";

const DEMO_KEYS = parseKeySet(sample("demo-keys.json"));

/** @param {Uint8Array[]} texts @param {import("../index.js").KeySet} keys */
async function verified(texts, keys) {
  const bundles = [];
  for (const text of texts) bundles.push(await verifyBundle(parseBundle(text), keys));
  return bundles;
}

for (const [name, keys] of [["pith", BUILT_IN_SET], ["demo", DEMO_KEYS]]) {
  test(`${name}.tar gives its states, in both orders`, async () => {
    const bundles = await verified(bagged(`${name}.tar`), keys);
    const texts = linesOf(`${name}.states.jsonl`);
    assert.deepEqual(bundles.flatMap((bundle) => bundle.findings), []);
    assert.deepEqual(mergeAll(bundles).map((state) => state.text), texts);
    assert.deepEqual(mergeAll(bundles.reverse()).map((state) => state.text), texts);
  });

  test(`${name}.tar: a composed bundle is stable and gives the same states (B6)`, async () => {
    for (const bundle of await verified(bagged(`${name}.tar`), keys)) {
      const text = compose([bundle]);
      const [again] = await verified([new TextEncoder().encode(text)], keys);
      assert.equal(compose([again, bundle]), text);
      assert.deepEqual(mergeAll([again]), mergeAll([bundle]));
    }
  });
}

test("the digests and roots of chapter 10", async () => {
  assert.equal(
    DEMO_KEYS.digest(),
    "747b3d90b2af280849dfce3c95a9420f3074d3346c09f1f11d1c2eca970021e3",
  );
  const demo = mergeAll(await verified(bagged("demo.tar"), DEMO_KEYS));
  const pith = mergeAll(await verified(bagged("pith.tar"), BUILT_IN_SET));
  const found = demo.map((state) => [state.record.pithNumber, state.digest, state.coreDigest]);
  assert.deepEqual(found, chapter10());
  assert.equal(rootOf(demo), "76c0f10b243cebea11de61ad8ad4cec793350b2f301364e9012e89c150afc98f");
  assert.equal(rootOf(pith), "3a36192a9acbb0ae45077cbbf8996221c501dc2c8adf72c24a3a14f6c956ee3e");
  const both = rootOf([...demo, ...pith]);
  assert.equal(both, "49a9d1ab481f0066de9ac193c043d6c7a717db36d93bac9e1a5c17c9e17ee50e");
});

/** The table of docs/protocol.md. @returns {string[][]} */
function chapter10() {
  const page = new TextDecoder().decode(sample("../docs/protocol.md"));
  const row = /^\| `(pith:[^`]+)` \| `([0-9a-f]{64})` \|\n\| \| `([0-9a-f]{64})` \|$/gm;
  return [...page.slice(page.indexOf("\n## 10 ")).matchAll(row)].map((found) => found.slice(1));
}

for (const code of invalidCodes()) {
  test(`invalid/${code}.json is refused or reported as it must be`, async () => {
    const expected = JSON.parse(new TextDecoder().decode(sample(`invalid/${code}.expected.json`)));
    const keys = expected.keys ? DEMO_KEYS : BUILT_IN_SET;
    let [findings, states] = [[], []];
    try {
      const bundles = await verified([sample(`invalid/${code}.json`)], keys);
      findings = bundles[0].findings;
      states = mergeAll(bundles).map((state) => state.text);
    } catch (refusal) {
      findings = [{ code: refusal.code, where: expected.findings[0].where }];
    }
    const places = expected.findings.map((finding) => ({ code: finding.code, where: finding.where }));
    assert.deepEqual(findings, places);
    assert.deepEqual(states, linesOf(`invalid/${code}.states.jsonl`));
  });
}
