/**
 * Segments: the entropy-coded bytes between two markers (T.81, B.1.1.5 and E.2.4), their byte stuffing, and what to do
 * if a restart marker is missing or wrong (as libjpeg's jpeg_resync_to_restart).
 */
import {
  ARITHMETIC,
  BITS,
  BUFFER,
  DAMAGE,
  DAMAGE_BYTE,
  DAMAGE_COLUMN,
  DAMAGE_COMPONENT,
  DAMAGE_COUNT,
  DAMAGE_RAW,
  DAMAGE_ROW,
  DATA_ENDS,
  END_MARKER,
  EOB_RUN,
  EXTRA_BYTES,
  IN_TAIL,
  MARKER,
  MCUS_TO_RESTART,
  MEMBER_BYTES,
  MEMBERS,
  MODE,
  NEXT,
  NEXT_RESTART,
  OUT_OF_DATA,
  RAW,
  RAW_END,
  RESTART_INTERVAL,
  RESTARTS_PASSED,
  SAFE,
  SEGMENT,
  SEGMENT_END,
  SEGMENT_RAW,
  SPARE_BYTES,
  TAIL,
  TAIL_BYTES,
  WRONG_RESTART,
} from "./decode-layout";

/** Eight bytes, big-endian. */
export function load64(address: u32): u64 {
  const bytes = v128.load64_zero(address);
  return i64x2.extract_lane(
    v128.shuffle<u8>(bytes, bytes, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8),
    0,
  );
}

/** Marks bytes 0xff before a code from 0xc0 to 0xfe. More bytes 0xff may stand before a marker. */
function markersAt(at: u32): v128 {
  // In signed numbers, these codes less 0x40 are the smallest.
  const isCode = i8x16.lt_s(i8x16.sub(v128.load(at, 1), i8x16.splat(0x40)), i8x16.splat(-65));
  return v128.and(i8x16.eq(v128.load(at), i8x16.splat(-1)), isCode);
}

/** The address of the first marker from `from` on whose code is not below SOF0's, or `end`. */
function nextMarker(from: u32, end: u32): u32 {
  let at = from;
  for (; at + 65 <= end; at += 64) {
    const first = v128.or(markersAt(at), markersAt(at + 16));
    if (v128.any_true(v128.or(first, v128.or(markersAt(at + 32), markersAt(at + 48))))) break;
  }
  for (; at + 17 <= end; at += 16) {
    const found = i8x16.bitmask(markersAt(at));
    if (found != 0) return at + ctz(found);
  }
  for (; at + 1 < end; at++) {
    const code = load<u8>(at, 1);
    if (load<u8>(at) == 0xff && code >= 0xc0 && code != 0xff) return at;
  }
  return end;
}

/** The address of the first marker from `from` on that ends a scan (no restart marker, not below SOF0), or `end`. */
export function findScanEnd(from: u32, end: u32): u32 {
  let at = nextMarker(from, end);
  while (at < end && (load<u8>(at, 1) & 0xf8) == 0xd0) at = nextMarker(at + 2, end);
  return at;
}

/**
 * Passes restart markers until RESTARTS_PASSED is `until`, and returns the address after the last of them. Stops at any
 * other marker, and at a restart marker whose number does not follow, and returns its address; or `end`.
 */
export function passRestarts(from: u32, end: u32, until: u32): u32 {
  let at = from;
  let passed = load<u32>(RESTARTS_PASSED);
  for (; passed < until; passed++) {
    at = nextMarker(at, end);
    if (at >= end || load<u8>(at, 1) != 0xd0 + (passed & 7)) break;
    at += 2;
  }
  store<u32>(RESTARTS_PASSED, passed);
  return at;
}

/** Makes the raw bytes up to the next marker the scan's segment. Removes their byte stuffing in place. */
export function nextSegment(scan: u32): void {
  let from = load<u32>(scan + RAW);
  const end = load<u32>(scan + RAW_END);
  const ff = i8x16.splat(-1);
  store<u32>(scan + SEGMENT, from);
  store<u32>(scan + SEGMENT_RAW, from);
  let to = from;
  let marker = END_MARKER;
  while (from < end) {
    if (from + 16 <= end) {
      const bytes = v128.load(from);
      const found = i8x16.bitmask(i8x16.eq(bytes, ff));
      if (found == 0) {
        v128.store(to, bytes);
        from += 16;
        to += 16;
        continue;
      }
      for (let count: u32 = ctz(found); count > 0; count--) store<u8>(to++, load<u8>(from++));
    } else if (load<u8>(from) != 0xff) {
      store<u8>(to++, load<u8>(from++));
      continue;
    }
    // Any number of 0xff may stand before a marker, and libjpeg takes them before a stuffed zero as well.
    do from++;
    while (from < end && load<u8>(from) == 0xff);
    if (from >= end) break;
    const code = load<u8>(from++);
    if (code != 0) {
      marker = code;
      break;
    }
    store<u8>(to++, 0xff);
  }
  store<u32>(scan + RAW, from);
  store<u32>(scan + SEGMENT_END, to);
  store<u32>(scan + MARKER, marker);
  startReading(scan);
}

function startReading(scan: u32): void {
  const end = load<u32>(scan + SEGMENT_END);
  store<u32>(scan + NEXT, load<u32>(scan + SEGMENT));
  store<u32>(scan + BITS, 0);
  store<u64>(scan + BUFFER, 0);
  store<u32>(scan + SAFE, end < TAIL_BYTES ? 0 : end - TAIL_BYTES);
  store<u32>(scan + IN_TAIL, 0);
}

/** Goes on reading in a copy of the segment's last bytes, which has zeros after them. */
function enterTail(scan: u32): void {
  const position = (u64(load<u32>(scan + NEXT)) << 3) - load<u32>(scan + BITS);
  const at = u32(position >> 3);
  const skip = u32(position & 7);
  const tail = scan + TAIL;
  const left = load<u32>(scan + SEGMENT_END) - at;
  memory.copy(tail, at, left);
  memory.fill(tail + left, 0, 2 * TAIL_BYTES + 32 - left);
  store<u64>(scan + BUFFER, load64(tail) << skip);
  store<u32>(scan + BITS, 56 - skip);
  store<u32>(scan + NEXT, tail + 7);
  // SEGMENT moves too: the distance from it stays the position in the segment.
  store<u32>(scan + SEGMENT, tail - (at - load<u32>(scan + SEGMENT)));
  store<u32>(scan + SEGMENT_END, tail + left);
  store<u32>(scan + SAFE, 0);
  store<u32>(scan + IN_TAIL, 1);
}

/**
 * Called between blocks once NEXT is beyond SAFE. Returns 1 if more bits were used than the segment had. Then zeros are
 * read until the MCU is complete, as in libjpeg.
 */
export function nearEnd(scan: u32): u32 {
  if (load<u32>(scan + IN_TAIL) == 0) {
    enterTail(scan);
    return 0;
  }
  const used = (u64(load<u32>(scan + NEXT)) << 3) - load<u32>(scan + BITS);
  if (used <= u64(load<u32>(scan + SEGMENT_END)) << 3) return 0;
  const zeros = scan + TAIL;
  const size = load<u32>(scan + SEGMENT_END) - load<u32>(scan + SEGMENT);
  memory.fill(zeros, 0, 2 * TAIL_BYTES + 32);
  store<u64>(scan + BUFFER, 0);
  store<u32>(scan + BITS, 56);
  store<u32>(scan + NEXT, zeros + 7);
  store<u32>(scan + SEGMENT_END, zeros);
  store<u32>(scan + SEGMENT, zeros - size);
  return 1;
}

/** Counts damage, and notes the place of the scan's first. */
export function damaged(scan: u32, kind: u32, row: u32, column: u32, member: u32): void {
  const count = load<u32>(scan + DAMAGE_COUNT);
  store<u32>(scan + DAMAGE_COUNT, count + 1);
  if (count != 0) return;
  const position = (u64(load<u32>(scan + NEXT)) << 3) - load<u32>(scan + BITS);
  store<u32>(scan + DAMAGE, kind);
  store<u32>(scan + DAMAGE_ROW, row);
  store<u32>(scan + DAMAGE_COLUMN, column);
  store<u32>(scan + DAMAGE_COMPONENT, member);
  store<u32>(scan + DAMAGE_RAW, load<u32>(scan + SEGMENT_RAW));
  const end = load<u32>(scan + SEGMENT_END);
  const at = u32(position >> 3);
  store<u32>(scan + DAMAGE_BYTE, (at > end || kind == DATA_ENDS ? end : at) - load<u32>(scan + SEGMENT));
}

/**
 * Whether the segment has unread bytes. A few after Huffman codes do no harm. Zeros do not count: some cameras write them
 * as padding.
 */
export function hasBytesLeft(scan: u32, afterCodes: bool): bool {
  const spare = afterCodes && (load<u32>(scan + MODE) & ARITHMETIC) == 0 ? SPARE_BYTES : 0;
  const used = (u64(load<u32>(scan + NEXT)) << 3) - load<u32>(scan + BITS);
  const end = load<u32>(scan + SEGMENT_END);
  for (let at = u32((used + 7) >> 3) + spare; at < end; at++) if (load<u8>(at) != 0) return true;
  return false;
}

/** Begins the next restart interval, with predictions of 0: T.81, F.2.1.3.1. */
export function restart(scan: u32, row: u32, column: u32): void {
  if (hasBytesLeft(scan, true) && load<u32>(scan + OUT_OF_DATA) == 0)
    damaged(scan, EXTRA_BYTES, row, column, 0);
  const wanted = load<u32>(scan + NEXT_RESTART);
  if (load<u32>(scan + MARKER) == 0xd0 + wanted) {
    nextSegment(scan);
    store<u32>(scan + OUT_OF_DATA, 0);
  } else {
    damaged(scan, WRONG_RESTART, row, column, 0);
    if (load<u32>(scan + MARKER) == END_MARKER && load<u32>(scan + OUT_OF_DATA) != 0) {
      // No data is left. The rest of the scan is skipped as one interval.
      store<u32>(scan + RESTART_INTERVAL, 0);
      store<u32>(scan + MCUS_TO_RESTART, 0xffffffff);
      return;
    }
    resynchronise(scan, wanted);
  }
  store<u32>(scan + NEXT_RESTART, (wanted + 1) & 7);
  store<u32>(scan + MCUS_TO_RESTART, load<u32>(scan + RESTART_INTERVAL));
  store<u32>(scan + EOB_RUN, 0);
  for (let i: u32 = 0; i < 4; i++) store<i32>(scan + MEMBERS + i * MEMBER_BYTES + 12, 0);
}

function resynchronise(scan: u32, wanted: u32): void {
  for (;;) {
    const marker = load<u32>(scan + MARKER);
    const ahead = (marker - 0xd0 - wanted) & 7;
    if (marker == END_MARKER || (marker >= 0xd0 && marker < 0xd8 && (ahead == 1 || ahead == 2))) {
      // Leave the marker for later: this interval is empty.
      store<u32>(scan + SEGMENT, load<u32>(scan + RAW));
      store<u32>(scan + SEGMENT_RAW, load<u32>(scan + RAW));
      store<u32>(scan + SEGMENT_END, load<u32>(scan + RAW));
      startReading(scan);
      return;
    }
    nextSegment(scan);
    // A code below SOF0 is not a marker, and a restart that is one or two behind is old: go on. Otherwise trust the data.
    if (marker < 0xc0 || ahead >= 6) continue;
    store<u32>(scan + OUT_OF_DATA, 0);
    return;
  }
}
