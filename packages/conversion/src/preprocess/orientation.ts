/** EXIF orientations, 1 to 8 (EXIF 2.3, tag 0x112): how the file's rows and columns lie in the upright image. */

/** Whether rows and columns change places. */
export const isTransposed = (orientation = 1): boolean => orientation >= 5;

/** Whether the file's columns, and its rows, run backwards in the upright image. */
export const flips = (orientation = 1): { flipX: boolean; flipY: boolean } => ({
  flipX: [2, 3, 7, 8].includes(orientation),
  flipY: [3, 4, 6, 7].includes(orientation),
});
