// Answers evidence documents (base64, one a line) with the checks of the verifier, one line each.

import { createInterface } from "node:readline";
import { checkEvidence } from "../../verifier/evidence.js";
import { Refusal } from "../../verifier/refusal.js";

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const checked = await checkEvidence(Uint8Array.from(Buffer.from(line, "base64")));
    const checks = checked.checks.map(({ name, status, words }) => {
      return [name, status, words.startsWith("existed by") ? words : ""];
    });
    answer = { checks, trusts: [...new Set(checked.trusts)], holds: checked.holds };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    answer = { code: error.code };
  }
  console.log(JSON.stringify(answer));
}
