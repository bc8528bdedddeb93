/**
 * A picture of a file's coefficients, one column per component, in two orders:
 *
 *   above  by block: each value at its place in its block, so edges and textures show where they are
 *   below  by frequency: 8x8 tiles, one per frequency, each a small image of that frequency alone. The top left one is
 *          a thumbnail of the image; towards the bottom right, quantisation leaves less and less
 *
 * Blue is negative, white zero, red positive. The colour deepens with the logarithm, and 1 and -1 already have a tint.
 */

import { type JpegComponent, type JpegImage, ZIGZAG } from "@jpeg-domain/coefficients";
import { encode } from "fast-png";
import { divergingColour, GRID_GREY, type Rgb } from "./colours.js";

const BLOCK = 8;
const COEFFICIENTS = BLOCK * BLOCK;

/** Pixels between and around the panels. */
const MARGIN = 12;
/** Small images are magnified to about this width, but to at most MAX_CELL pixels per value. */
const COMFORTABLE_WIDTH = 640;
const MAX_CELL = 10;
/** Large images are reduced, so that no side of a panel is much longer than this. */
const MAX_PANEL = 2048;
/** Blocks have lines between them if a value is at least this many pixels; frequencies always have lines. */
const LINED_CELL = 3;
/** Where 1 and -1 are on the colour scale: clearly apart from zero. */
const FAINTEST = 0.2;

interface Size {
  rows: number;
  columns: number;
}

/**
 * Tiles of values. In one order a tile is a block and holds its frequencies; in the other a tile is a frequency and holds
 * its value in each block.
 */
interface Panel {
  tiles: Size;
  within: Size;
  /** The value at a position in a tile; both are numbered row by row. */
  value: (tile: number, inner: number) => number;
  /** Pixels between tiles. */
  line: number;
}

interface Scale {
  /** Pixels per value. */
  cell: number;
  /** The side of the square of values that one pixel stands for: 1 if the image is not reduced. */
  reduce: number;
}

const PLACES: Size = { rows: BLOCK, columns: BLOCK };
/** The inverse of ZIGZAG: from a position in the block to its k. */
const ZIGZAG_INDEX = Uint8Array.from({ length: COEFFICIENTS }, (_, place) => ZIGZAG.indexOf(place));

function byBlock(component: JpegComponent, { cell }: Scale): Panel {
  const line = cell >= LINED_CELL ? 1 : 0;
  return { tiles: blocksOf(component), within: PLACES, value: reader(component), line };
}

function byFrequency(component: JpegComponent): Panel {
  const at = reader(component);
  return {
    tiles: PLACES,
    within: blocksOf(component),
    value: (place, block) => at(block, place),
    line: 1,
  };
}

const blocksOf = ({ blocksHigh, blocksWide }: JpegComponent): Size => ({
  rows: blocksHigh,
  columns: blocksWide,
});

const reader =
  ({ coefficients }: JpegComponent) =>
  (block: number, place: number): number =>
    coefficients[block * COEFFICIENTS + (ZIGZAG_INDEX[place] as number)] as number;

/** @returns the bytes of an RGB PNG. */
export function mosaicPng({ components }: JpegImage): Uint8Array {
  const scale = scaleFor(components);
  const above = components.map((component) => byBlock(component, scale));
  const below = components.map(byFrequency);
  const sizes = [above, below].map((row) => row.map((panel) => pixelsOf(panel, scale)));
  const columns = components.map((_, c) => Math.max(...sizes.map((row) => row[c]?.columns ?? 0)));
  const rows = sizes.map((row) => Math.max(...row.map((size) => size.rows)));
  const width = MARGIN + columns.reduce((sum, length) => sum + length + MARGIN, 0);
  const height = MARGIN + rows.reduce((sum, length) => sum + length + MARGIN, 0);
  const data = new Uint8Array(width * height * 3).fill(GRID_GREY);
  const colours = colourScale(components);
  let left = MARGIN;
  components.forEach((_, c) => {
    drawPanel({ data, width, left, top: MARGIN }, above[c] as Panel, scale, colours);
    const top = 2 * MARGIN + (rows[0] as number);
    drawPanel({ data, width, left, top }, below[c] as Panel, scale, colours);
    left += (columns[c] as number) + MARGIN;
  });
  return encode({ width, height, data, channels: 3, depth: 8 });
}

function scaleFor(components: readonly JpegComponent[]): Scale {
  const sides = components.flatMap(({ blocksWide, blocksHigh }) => [blocksWide, blocksHigh]);
  const longest = BLOCK * Math.max(...sides);
  const cell = Math.max(1, Math.min(MAX_CELL, Math.floor(COMFORTABLE_WIDTH / longest)));
  return { cell, reduce: Math.ceil(longest / MAX_PANEL) };
}

function pixelsOf({ tiles, within, line }: Panel, scale: Scale): Size {
  const length = (count: number, inner: number) => count * tilePitch(inner, line, scale) - line;
  return { rows: length(tiles.rows, within.rows), columns: length(tiles.columns, within.columns) };
}

const tilePitch = (inner: number, line: number, { cell, reduce }: Scale) =>
  Math.ceil(inner / reduce) * cell + line;

/** The colour of a value, from a table: there are few different values and many positions. */
function colourScale(components: readonly JpegComponent[]): (value: number) => Rgb {
  let largest = 0;
  for (const { coefficients } of components)
    for (const value of coefficients) largest = Math.max(largest, Math.abs(value));
  const colours = Array.from({ length: 2 * largest + 1 }, (_, at) => {
    const value = at - largest;
    const depth = value === 0 ? 0 : Math.log(Math.abs(value)) / Math.max(1, Math.log(largest));
    return divergingColour(Math.sign(value) * (FAINTEST + (1 - FAINTEST) * depth));
  });
  return (value) => colours[value + largest] as Rgb;
}

interface Canvas {
  data: Uint8Array;
  /** Width of the whole picture. */
  width: number;
  /** Position of the panel. */
  left: number;
  top: number;
}

function drawPanel(canvas: Canvas, panel: Panel, scale: Scale, colours: (value: number) => Rgb): void {
  const { tiles, within, line } = panel;
  for (let tile = 0; tile < tiles.rows * tiles.columns; tile++) {
    const top = canvas.top + Math.floor(tile / tiles.columns) * tilePitch(within.rows, line, scale);
    const left = canvas.left + (tile % tiles.columns) * tilePitch(within.columns, line, scale);
    for (let row = 0; row < within.rows; row += scale.reduce) {
      for (let column = 0; column < within.columns; column += scale.reduce) {
        const colour = colours(strongest(panel, tile, row, column, scale.reduce));
        const y = top + (row / scale.reduce) * scale.cell;
        const x = left + (column / scale.reduce) * scale.cell;
        drawCell(canvas, x, y, scale.cell, colour);
      }
    }
  }
}

function drawCell({ data, width }: Canvas, x: number, y: number, cell: number, [r, g, b]: Rgb): void {
  for (let i = 0; i < cell; i++) {
    for (let j = 0; j < cell; j++) {
      const at = ((y + i) * width + x + j) * 3;
      data[at] = r;
      data[at + 1] = g;
      data[at + 2] = b;
    }
  }
}

/** The value furthest from 0 in a square within a tile. */
function strongest(
  { within, value }: Panel,
  tile: number,
  row: number,
  column: number,
  side: number,
): number {
  let found = 0;
  for (let y = row; y < Math.min(within.rows, row + side); y++) {
    for (let x = column; x < Math.min(within.columns, column + side); x++) {
      const candidate = value(tile, y * within.columns + x);
      if (Math.abs(candidate) > Math.abs(found)) found = candidate;
    }
  }
  return found;
}
