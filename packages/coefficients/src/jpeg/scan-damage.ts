/** What the decoder notes of a scan's damage becomes an error. */
import { DAMAGE, SCAN_BYTES, SCANS } from "./assembly/decode-layout.js";
import type { Engine } from "./engine.js";
import { type JpegError, unexpected } from "./errors.js";
import type { Frame } from "./headers.js";
import { SOS } from "./markers.js";
import type { ScanFinder } from "./scan-finder.js";
import type { Scan } from "./scans.js";

const DEFECTS: [found: string, expected: string][] = [
  ["no damage", "some"],
  ["bits that are no Huffman code", "a code of the scan's table"],
  ["a run of zeros past the block's end", "at most 63 AC coefficients"],
  ["the end of the scan's data", "more of it for this block"],
  ["no restart marker, or the wrong one", "the next restart marker"],
  ["data that no block needs", "a marker"],
  ["a refinement by more than one bit", "one bit"],
  ["a value of more than 15 bits", "at most 15"],
];

/** The scan's first damage, and how many places there are. */
export function scanDamage(
  engine: Engine,
  { bytes, frame, finder }: { bytes: Uint8Array; frame: Frame; finder: ScanFinder },
  group: readonly Scan[],
  index: number,
  scanOffset: number,
): { error: JpegError; count: number } {
  const at = (SCANS + index * SCAN_BYTES + DAMAGE) / 4;
  const [kind = 0, row = 0, column = 0, block = 0, byte = 0, segment = 0, count = 0] = engine.u32.subarray(
    at,
    at + 7,
  );
  const { members, mcusPerRow } = group[index] as Scan;
  const offset = fileOffset(bytes, segment - finder.base, byte);
  const [found, expected] = DEFECTS[kind] as [string, string];
  let left = block;
  const member = members.find(({ component }) => {
    const { horizontalSampling = 1, verticalSampling = 1 } = frame.components[component] ?? {};
    if (members.length === 1 || left < horizontalSampling * verticalSampling) return true;
    left -= horizontalSampling * verticalSampling;
    return false;
  });
  const id = frame.components[member?.component ?? 0]?.id;
  const where =
    column >= mcusPerRow
      ? "after the last MCU"
      : `in MCU ${row * mcusPerRow + column} (row ${row}, column ${column}), component ${id}`;
  return {
    error: unexpected(offset, SOS, `${found} ${where} of scan ${scanOffset + index}`, expected),
    count,
  };
}

/** The offset in the file of a segment's byte. The byte's index does not count stuffed zeros. */
function fileOffset(bytes: Uint8Array, segment: number, byte: number): number {
  let at = segment;
  for (let left = byte; left > 0 && at < bytes.length; left--) {
    if (bytes[at] !== 0xff) at++;
    else {
      while (bytes[at] === 0xff) at++;
      at++;
    }
  }
  return Math.min(at, bytes.length);
}
