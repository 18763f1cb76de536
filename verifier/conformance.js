#!/usr/bin/env node
/**
 * The program that the conformance kit runs: tasks as JSON Lines on standard input, answers as JSON
 * Lines on standard output (docs/conformance.md).
 */

import { createInterface } from "node:readline";
import {
  BUILT_IN_SET,
  Refusal,
  compare,
  digestOf,
  mergeAll,
  parse,
  parseBundle,
  parseKeySet,
  rootOf,
  verifyBundle,
} from "./index.js";

/** @typedef {import("./keys.js").KeySet} KeySet */
/** @typedef {import("./bundles.js").VerifiedBundle} VerifiedBundle */

/** @param {string} text base64 */
const decoded = (text) => Uint8Array.from(Buffer.from(text, "base64"));

/** @param {string} text */
const encoded = (text) => Buffer.from(text, "utf-8").toString("base64");

/** @param {{keys: string | null}} task */
const keysOf = ({ keys }) => (keys === null ? BUILT_IN_SET : parseKeySet(decoded(keys)));

/**
 * The bundles of a task, each verified, or the refusal of it.
 * @returns {Promise<(VerifiedBundle | Refusal)[]>}
 */
async function verified(task, keys) {
  const results = [];
  for (const text of task.bundles) {
    try {
      results.push(await verifyBundle(parseBundle(decoded(text)), keys));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      results.push(error);
    }
  }
  return results;
}

async function statesOf(task, keys) {
  const bundles = await verified(task, keys);
  return mergeAll(bundles.filter((bundle) => !(bundle instanceof Refusal)));
}

/** @param {VerifiedBundle | Refusal} bundle */
function verdicts(bundle) {
  if (bundle instanceof Refusal) return { code: bundle.code };
  const codes = bundle.findings.map((finding) => finding.code);
  return {
    findings: codes.filter((code) => code === "bundle.short" || code === "bundle.source"),
    aliases: bundle.claims.map((claim) => (claim ? null : "bundle.alias")),
    receipts: bundle.receipts.map((receipt) => receipt.code),
    events: bundle.events.map((event) => event.code),
  };
}

const TASKS = new Map([
  ["digest", async (task) => ({ digest: digestOf(parse(decoded(task.text))) })],
  [
    "verify",
    async (task) => ({ bundles: (await verified(task, keysOf(task))).map(verdicts) }),
  ],
  [
    "merge",
    async (task) => {
      const states = await statesOf(task, keysOf(task));
      return {
        states: states.map((state) => ({
          pith_number: state.record.pithNumber,
          state: encoded(state.text),
          digest: state.digest,
          core_digest: state.coreDigest,
        })),
      };
    },
  ],
  [
    "root",
    async (task) => {
      const keys = keysOf(task);
      return { root: rootOf(await statesOf(task, keys)), key_set_digest: keys.digest() };
    },
  ],
  ["compare", async (task) => compare(parse(decoded(task.here)), parse(decoded(task.there)))],
]);

/** @param {{task: string}} task @returns {Promise<object>} the answer, without its id */
async function answer(task) {
  const work = TASKS.get(task.task);
  if (!work) return { unsupported: true };
  try {
    return await work(task);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.code === "profiles.unsupported" ? { unsupported: true } : { code: error.code };
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line.trim() === "") continue;
  const task = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id: task.id, ...(await answer(task)) })}\n`);
}
