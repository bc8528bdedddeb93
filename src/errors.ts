/**
 * The base of every error this package throws on purpose: bad input, an impossible request, a limit reached.
 * The message is one line that says what was found, where, and what was expected; subclasses add the same facts
 * as fields. Anything else that is thrown is a bug.
 */
export class JpegDomainError extends Error {
  override name = "JpegDomainError";
}
