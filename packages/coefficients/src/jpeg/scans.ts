import { AC_FIRST, AC_REFINE, DC_FIRST, SEQUENTIAL } from "./assembly/scan-kinds.js";
import { type JpegError, unexpected } from "./errors.js";
import type { Frame, Headers, ScanHeader } from "./headers.js";
import { SOS } from "./markers.js";
import { scanKind } from "./scan-kind.js";
import { MAX_MCU_BLOCKS } from "./scan-script.js";
import type { Conditioning } from "./table-segments.js";
import { type HuffmanTable, standardAcTables, standardDcTables, tableDefect } from "./tables.js";

/** A scan that can be decoded: its tables exist, and its parameters are legal. */
export interface Scan {
  mode: number;
  members: { component: number; dc: HuffmanTable | undefined; ac: HuffmanTable | undefined }[];
  header: ScanHeader;
  /** Of arithmetic coding; undefined for Huffman codes. */
  conditioning: Conditioning | undefined;
  restartInterval: number;
  mcusPerRow: number;
  /** The cost of decoding: one for each block of the scan, or more if each block may need work on all its coefficients. */
  work: number;
}

/** The lowest bit read of each coefficient of each component; -1 before its first scan. */
export type Progress = Int8Array[];

/**
 * Checks a scan header against the frame and the tables so far.
 * @throws {JpegError} if libjpeg would not decode the scan.
 */
export function prepareScan(headers: Headers, frame: Frame, header: ScanHeader): Scan {
  const { members, spectralStart: ss, spectralEnd: se, approximationHigh: ah, approximationLow: al } = header;
  const at = header.offset - 3;
  if (frame.progressive) {
    const band = ss === 0 ? se === 0 : ss <= se && se < 64 && members.length === 1;
    if (!band)
      throw unexpected(
        at,
        SOS,
        `coefficients ${ss} to ${se} of ${members.length} components`,
        "0 to 0, or a range from 1 to 63 of one component",
      );
    if ((ah !== 0 && al !== ah - 1) || al > 13)
      throw unexpected(at + 2, SOS, `bit positions ${ah} to ${al}`, "one bit at a time, and at most 13");
  }
  const mode = scanKind(frame.progressive, header);

  const only =
    members.length === 1 ? frame.components[(members[0] as { component: number }).component] : undefined;
  let blocks = 0;
  let mcu = 0;
  for (const member of members) {
    const component = frame.components[member.component];
    if (component === undefined) continue;
    blocks += component.blocksWide * component.blocksHigh;
    mcu += component.horizontalSampling * component.verticalSampling;
  }
  if (only === undefined && mcu > MAX_MCU_BLOCKS)
    throw unexpected(header.marker, SOS, `${mcu} blocks in an MCU`, `at most ${MAX_MCU_BLOCKS}`);

  const needsDc = !frame.arithmetic && (mode === SEQUENTIAL || mode === DC_FIRST);
  const needsAc = !frame.arithmetic && (mode === SEQUENTIAL || mode === AC_FIRST || mode === AC_REFINE);
  const table = (slot: number, dc: boolean): HuffmanTable => {
    const tables = dc ? headers.dcTables : headers.acTables;
    const standard = frame.progressive ? [] : dc ? standardDcTables : standardAcTables;
    const found = tables[slot] ?? standard[slot];
    const name = `${dc ? "DC" : "AC"} table ${slot}`;
    if (found === undefined)
      throw unexpected(header.marker, SOS, `no ${name}`, "a DHT segment for it before");
    const defect = tableDefect(found, dc);
    if (defect !== undefined)
      throw unexpected(header.marker, SOS, `${name} with ${defect}`, "a Huffman code (T.81, annex C)");
    return found;
  };
  return {
    mode,
    members: members.map(({ component, dcSlot, acSlot }) => ({
      component,
      dc: needsDc ? table(dcSlot, true) : undefined,
      ac: needsAc ? table(acSlot, false) : undefined,
    })),
    header,
    conditioning: frame.arithmetic ? copyOf(headers.conditioning) : undefined,
    restartInterval: headers.restartInterval,
    mcusPerRow: only?.blocksWide ?? Math.ceil(frame.width / (8 * frame.maxHorizontal)),
    work: blocks * (frame.arithmetic ? arithmeticWork(frame, header) : 1),
  };
}

/**
 * After an arithmetic scan's last byte, the decoder reads zeros without end, and they can mean any coefficients. So a block
 * costs its whole band, however short the file is. A Huffman coded block costs little without bytes.
 */
const arithmeticWork = ({ progressive }: Frame, { spectralStart, spectralEnd }: ScanHeader): number =>
  progressive ? 1 + ((spectralEnd - spectralStart) >> 2) : 16;

/** Each scan needs its own, because a DAC segment may come before the next scan. */
const copyOf = ({ dcLower, dcUpper, acLimit }: Conditioning): Conditioning => ({
  dcLower: dcLower.slice(),
  dcUpper: dcUpper.slice(),
  acLimit: acLimit.slice(),
});

/**
 * Adds a progressive scan to the progress. Returns the script's defect (T.81, G.1.1.1) if the scan does not go on from
 * those before it. libjpeg only warns of that.
 */
export function follow(progress: Progress, { header }: Scan): JpegError | undefined {
  let defect: JpegError | undefined;
  const { spectralStart: ss, spectralEnd: se, approximationHigh: ah, approximationLow: al } = header;
  for (const { component } of header.members) {
    const bits = progress[component] as Int8Array;
    if (ss > 0 && (bits[0] as number) < 0)
      defect ??= unexpected(
        header.marker,
        SOS,
        "AC coefficients",
        "the component's DC coefficients before them",
      );
    for (let k = ss; k <= se; k++) {
      const before = Math.max(0, bits[k] as number);
      if (ah !== before)
        defect ??= unexpected(
          header.marker,
          SOS,
          `coefficient ${k} from bit ${ah}`,
          (bits[k] as number) < 0 ? "its first scan" : `a refinement from bit ${bits[k]}`,
        );
      bits[k] = al;
    }
  }
  return defect;
}

/**
 * Keeps the progress of the scan's components before it, as libjpeg does for block smoothing. Before the file's first scan,
 * all count as complete.
 */
export function noteBefore(before: Progress, progress: Progress, { header }: Scan, isFirst: boolean): void {
  for (const { component } of header.members) {
    const to = before[component] as Int8Array;
    if (isFirst) to.fill(0);
    else to.set(progress[component] as Int8Array);
  }
}

/** Whether the first `kept` coefficients of every component are complete. */
export function isComplete(progress: Progress, kept: number): boolean {
  return progress.every((bits) => bits.subarray(0, kept).every((bit) => bit === 0));
}

/**
 * The scans of a progressive file that are needed for the first `kept` coefficients. These are the scans that code them.
 * A refinement of AC coefficients also needs the scans before it that code the rest of its band: it can only be read if it
 * is known which coefficients are zero.
 */
export function neededScans(scans: readonly Scan[], kept: number): Scan[] {
  if (kept === 64) return [...scans];
  const needed = new Map<number, Uint8Array>();
  const result: Scan[] = [];
  for (const scan of [...scans].reverse()) {
    const { spectralStart: ss, spectralEnd: se } = scan.header;
    const wanted = scan.members.some(({ component }) => {
      const band = needed.get(component) ?? new Uint8Array(64).fill(1, 0, kept);
      needed.set(component, band);
      const hit = band.subarray(ss, se + 1).includes(1);
      if (hit && scan.mode === AC_REFINE) band.fill(1, ss, se + 1);
      return hit;
    });
    if (wanted) result.push(scan);
  }
  return result.reverse();
}
