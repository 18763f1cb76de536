/** The one error that bad input causes. */

/** Input that a rule refuses. `code` is the stable name of the check that failed (chapter 9). */
export class Refusal extends Error {
  /**
   * @param {string} code such as `json.syntax`
   * @param {string} message a sentence for people: what is wrong, and where
   */
  constructor(code, message) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}
