export const GRID_GREY = 0x55;

/** ColorBrewer's RdBu in 5 classes, with white in the middle; safe for colour-blind readers. */
const DIVERGING = [
  [0x21, 0x66, 0xac],
  [0x92, 0xc5, 0xde],
  [0xff, 0xff, 0xff],
  [0xf4, 0xa5, 0x82],
  [0xb2, 0x18, 0x2b],
] as const;

export type Rgb = readonly [number, number, number];

/** The colour of a place on the scale from -1 (blue) over 0 (white) to 1 (red). */
export function divergingColour(place: number): Rgb {
  const at = ((Math.max(-1, Math.min(1, place)) + 1) / 2) * (DIVERGING.length - 1);
  const index = Math.min(Math.floor(at), DIVERGING.length - 2);
  const [low, high] = [DIVERGING[index] as Rgb, DIVERGING[index + 1] as Rgb];
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(low[channel] + (high[channel] - low[channel]) * (at - index));
  return [mix(0), mix(1), mix(2)];
}
