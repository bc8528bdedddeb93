import { JpegDomainError } from "@jpeg-domain/coefficients";

/** Preprocessing that is not described as it must be, is not supported, or does not fit an image. */
export class PreprocessError extends JpegDomainError {
  override name = "PreprocessError";
}
