/** Files that come in pieces: as much of them as the network needs, read on the calling thread. */
import { type JpegHeader, readNeeded } from "@jpeg-domain/coefficients";
import type { Preprocessor } from "@jpeg-domain/conversion";
import { describeFailure } from "./failure.js";
import type { Network } from "./network.js";
import type { JpegFile, JpegResult, JpegSource } from "./pipeline.js";
import { MOST_BYTES } from "./read-file.js";
import { comesInPieces } from "./source.js";

/** Reads what comes in pieces before `work` gets it. If that fails, only this file has an error. */
export const fetching =
  (preprocessor: Preprocessor, { reading }: Network, work: (file: JpegFile) => Promise<JpegResult>) =>
  async (source: JpegSource): Promise<JpegResult> => {
    let file: JpegFile;
    try {
      if (comesInPieces(source)) {
        const coefficients = (header: JpegHeader) => preprocessor.coefficientsFor(header);
        file = await readNeeded(source, { ...reading, coefficients, maxBytes: MOST_BYTES.jpeg });
      } else file = source;
    } catch (error) {
      return { error: describeFailure(error) };
    }
    return work(file);
  };
