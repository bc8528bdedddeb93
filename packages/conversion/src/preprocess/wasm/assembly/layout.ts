/**
 * Where everything is in the memory of the program. The host fills in IMAGE and COMPONENTS, each field u32 unless noted. It
 * imports this file too (../program.ts), so it may hold nothing but constants.
 */

/** One block between the steps of the inverse transform: see ./generated/gather.ts. */
export const PAIRS: usize = 1024;
/** After the first pass: 16 bytes for each of up to 16 columns. */
export const COLUMNS: usize = 1152;

export const IMAGE: usize = 2048;
/** 1: gray. 3: three colours. 4: the last one is black, stored inverted like the others. */
export const COMPONENT_COUNT: usize = 0;
/** Not 0: the first three are YCbCr. With four, these are inverted once more (Adobe's YCCK). */
export const IS_YCBCR: usize = 4;
/** Of the scaled image, in pixels. */
export const WIDTH: usize = 8;
export const HEIGHT: usize = 12;
/** The columns that are needed. The first is a multiple of 16. */
export const COLUMN_FROM: usize = 16;
export const COLUMN_TO: usize = 20;
/** Rows of finished pixels, 8 bits each: a ring of a power of two of rows for each plane. */
export const PIXELS: usize = 24;
export const PIXELS_STRIDE: usize = 28;
export const PIXELS_MASK: usize = 32;
export const PIXELS_PLANE: usize = 36;
/** Vertical taps: i32 first row for each output row; then weights, an even number of i16 (Q14) for each. */
export const ROW_FIRST: usize = 40;
export const ROW_TAPS: usize = 44;
export const ROW_WEIGHTS: usize = 48;
/** Horizontal taps: i32 first column, counted from COLUMN_FROM; weights, a multiple of 8 of i16 (Q14) for each. */
export const COLUMN_FIRST: usize = 52;
export const COLUMN_TAPS: usize = 56;
export const COLUMN_WEIGHTS: usize = 60;
export const OUT_HEIGHT: usize = 64;
/** A multiple of 4, like the arrays of horizontal taps. */
export const OUT_STRIDE: usize = 68;
/** float32 planes. */
export const OUT: usize = 72;
export const OUT_PLANE: usize = 76;
export const OUT_PLANES: usize = 80;
/** One row after the vertical filter: i16 (Q6), planes ROW_PLANE bytes apart. */
export const ROW: usize = 84;
export const ROW_PLANE: usize = 88;
/** The next row of pixels to finish, and of the output to make. */
export const NEXT_PIXELS: usize = 176;
export const NEXT_OUT: usize = 180;
/** For each output plane: which plane of the pixels, f32 factor, f32 offset. */
export const OUTPUTS: usize = 96;
export const OUTPUT_BYTES: usize = 16;

export const COMPONENTS: usize = 2304;
export const COMPONENT_BYTES: usize = 96;
/** The first block that is needed of the stored row, and the bytes from block to block. */
export const BLOCKS: usize = 0;
export const BLOCK_BYTES: usize = 4;
/** The blocks that are needed. */
export const BLOCK_FROM: usize = 8;
export const BLOCK_TO: usize = 12;
export const POINTS: usize = 16;
/** i16, zigzag order. */
export const TABLE: usize = 20;
/** For each of ceil(points / 2) samples: (a0, a2), (a4, a6), (a1, a3), (a5, a7) of ./inverse.ts, i16 (Q15). */
export const BASIS: usize = 24;
/** A ring of rows of samples, 8 bits each, with room for one before and 16 after each. */
export const SAMPLES: usize = 28;
export const SAMPLES_STRIDE: usize = 32;
export const SAMPLES_ROWS: usize = 36;
/** In samples. */
export const SAMPLES_WIDTH: usize = 40;
export const SAMPLES_HEIGHT: usize = 44;
/** Pixels for each sample: f64. */
export const EXPAND_X: usize = 48;
export const EXPAND_Y: usize = 56;
/** Not 0: triangle weights. */
export const FANCY: usize = 64;
/** One row of pixels after upsampling. */
export const UPSAMPLED: usize = 68;
/** Not 0: the blocks that are needed reach the component's right edge. */
export const AT_RIGHT_EDGE: usize = 72;

/** What the host lays out for each image begins here. */
export const HEAP: usize = 4096;
/** How far beyond its end each part may be read or written. */
export const SLACK: usize = 128;
