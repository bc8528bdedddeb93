/**
 * The base of every error that this package throws on purpose: bad input, an impossible request, a limit reached. The
 * message is one line that says what was found, where, and what was expected. Subclasses add the same facts as fields.
 * Any other error is a bug.
 */
export class JpegDomainError extends Error {
  override name = "JpegDomainError";
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** A message may contain names from a file, of any length and with line breaks. */
const LONGEST = 800;

function oneLine(message: string): string {
  const text =
    message.length > LONGEST ? `${message.slice(0, LONGEST / 2)} … ${message.slice(-LONGEST / 2)}` : message;
  return text.replaceAll(/\s*[\n\r\u2028\u2029]\s*/g, " ");
}
