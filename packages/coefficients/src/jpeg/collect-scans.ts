/** Which of a file's scans are needed, and how far the file must be read for them. */
import type { Steps } from "./beginning.js";
import { note } from "./damage.js";
import { JpegError, unexpected } from "./errors.js";
import { type Frame, type Headers, nextScan, type ScanHeader } from "./headers.js";
import type { JpegUnfinished } from "./image.js";
import { SOS } from "./markers.js";
import type { ScanFinder } from "./scan-finder.js";
import {
  follow,
  isComplete,
  neededScans,
  noteBefore,
  type Progress,
  prepareScan,
  type Scan,
} from "./scans.js";
import { unfinishedOf } from "./smoothing.js";

const MAX_SCANS = 1000;

/**
 * How many blocks all of a file's scans may visit: a photograph of 12 megapixels a thousand times, an image of 268
 * megapixels 21 times, and more if the file is large. A few bytes of a progressive scan can cover any number of blocks, so
 * a small file could take hours without this limit.
 */
const MAX_BLOCK_VISITS = 2 ** 28;
const BLOCK_VISITS_PER_BYTE = 64;

/** The scans to decode, each component's quantisation table, and what there is to smooth. */
export interface Collected {
  scans: Scan[];
  quantization: Uint16Array[];
  unfinished: JpegUnfinished | undefined;
}

/**
 * Goes through the file from scan to scan, as far as is needed for the coefficients asked for.
 * @param isOnly - whether the first scan is known to be the only one
 */
export function* collectScans(
  headers: Headers,
  frame: Frame,
  first: ScanHeader,
  finder: Pick<ScanFinder, "endOf">,
  kept: number,
  isOnly: boolean,
  { tolerant = false, maxScans = MAX_SCANS }: { tolerant?: boolean; maxScans?: number },
): Steps<Collected> {
  const { damage } = headers;
  const scans: Scan[] = [];
  const quantization: (Uint16Array | undefined)[] = frame.components.map(() => undefined);
  const progress: Progress = frame.components.map(() => new Int8Array(64).fill(-1));
  const before: Progress = frame.components.map(() => new Int8Array(64).fill(-1));
  let isEnough = false;
  let end = 0;
  // libjpeg decides by the first scan whether to expect others.
  const several = frame.progressive || first.members.length < frame.components.length;
  let header: ScanHeader | undefined = first;
  while (header !== undefined) {
    if (scans.length === maxScans)
      throw unexpected(header.marker, SOS, `scan ${maxScans + 1}`, `at most ${maxScans} (maxScans)`);
    if (scans.length > 0 && !several) {
      const place = header.marker;
      const defect = () =>
        unexpected(place, SOS, "another scan", "the end: the first scan had every component");
      if (!tolerant) throw defect();
      // The image is complete. libjpeg gives all of its rows before this error.
      note(damage, defect);
      break;
    }
    const scan = prepareScan(headers, frame, header);
    for (const { component } of header.members)
      quantization[component] ??= quantizationTable(headers, frame, header, component);
    if (frame.progressive) {
      noteBefore(before, progress, scan, scans.length === 0);
      const defect = follow(progress, scan);
      if (defect !== undefined) {
        if (!tolerant) throw defect;
        note(damage, () => defect, scans.length);
      }
    }
    scans.push(scan);
    if (isOnly) break;
    isEnough = frame.progressive && kept < 64 && isComplete(progress, kept);
    end = yield* finder.endOf(header);
    if (isEnough) break;
    headers.offset = end;
    try {
      header = yield* nextScan(headers);
    } catch (error) {
      if (!tolerant || !(error instanceof JpegError)) throw error;
      note(damage, () => error);
      header = undefined;
    }
  }
  frame.components.forEach(({ id }, component) => {
    if (quantization[component] !== undefined) return;
    const defect = unexpected(headers.offset, undefined, "the end of the image", `a scan of component ${id}`);
    if (!tolerant) throw defect;
    note(damage, () => defect);
    const { quantizationSlot } = frame.components[component] as Frame["components"][number];
    quantization[component] = headers.quantization[quantizationSlot]?.slice() ?? new Uint16Array(64).fill(1);
  });
  const tables = quantization as Uint16Array[];
  // A single scan has no scan before it.
  if (scans.length === 1) for (const bits of before) bits.fill(-1);
  const unfinished = frame.progressive && !isEnough ? unfinishedOf(progress, before, tables) : undefined;
  const needed = frame.progressive && unfinished === undefined ? neededScans(scans, kept) : scans;
  const visits = needed.reduce((sum, { work }) => sum + work, 0);
  // Only the bytes that were read count, so the whole file and its beginning are judged alike.
  if (visits > MAX_BLOCK_VISITS + BLOCK_VISITS_PER_BYTE * Math.max(end, headers.offset))
    throw unexpected(
      headers.offset,
      undefined,
      `${needed.length} scans that pass over ${visits} blocks`,
      "far fewer in so small a file",
    );
  return { scans: needed, quantization: tables, unfinished };
}

/** The component's table in its first scan is the one for the whole image (T.81, B.2.4.1), whatever comes later. */
function quantizationTable(headers: Headers, frame: Frame, scan: ScanHeader, component: number): Uint16Array {
  const slot = frame.components[component]?.quantizationSlot ?? 0;
  const table = headers.quantization[slot];
  if (table === undefined)
    throw unexpected(scan.marker, SOS, `no quantisation table ${slot}`, "a DQT segment for it before");
  return table.slice();
}
