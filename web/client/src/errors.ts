/** What was waited for will not come; the message says why. */
export class Unreached extends Error {
  override readonly name = 'Unreached'
}
