/**
 * A picture of a whole file's coefficients, one column a component, in two orders:
 *
 *   above  by block: every value in its place in its block, so edges and textures show where they are
 *   below  by frequency: 8x8 tiles, one a frequency, each a small image of that frequency alone; the top left one is
 *          the image's thumbnail, and towards the bottom right quantisation leaves ever less
 *
 * Blue is negative, white zero, red positive, on the logarithmic scale of {@link symmetricLog}.
 */
import { encode } from "fast-png";
import type { JpegComponent, JpegImage } from "../jpeg/image.js";
import { ZIGZAG } from "../transform/frequency.js";
import { divergingColour, type Rgb, symmetricLog } from "./pictures.js";

const BLOCK = 8;
const COEFFICIENTS = BLOCK * BLOCK;

/** Pixels between and around the panels. */
const MARGIN = 16;
/** Small images are magnified to about this width, but no further than this many pixels a value. */
const COMFORTABLE_WIDTH = 640;
const MAX_CELL = 10;
/** Large ones are reduced, so that no panel is wider or higher. */
const MAX_PANEL = 2048;
/** Lines between blocks and tiles, where a value is at least this many pixels. */
const LINED_CELL = 4;
const LINE: Rgb = [0x99, 0x99, 0x99];

/** What stands at a place of a panel, of 8 blocksHigh rows and 8 blocksWide columns. */
type Layout = (component: JpegComponent, row: number, column: number) => number;

const byBlock: Layout = ({ coefficients, blocksWide }, row, column) => {
  const block = Math.floor(row / BLOCK) * blocksWide + Math.floor(column / BLOCK);
  const k = ZIGZAG_INDEX[(row % BLOCK) * BLOCK + (column % BLOCK)] as number;
  return coefficients[block * COEFFICIENTS + k] as number;
};

const byFrequency: Layout = ({ coefficients, blocksWide, blocksHigh }, row, column) => {
  const place = Math.floor(row / blocksHigh) * BLOCK + Math.floor(column / blocksWide);
  const block = (row % blocksHigh) * blocksWide + (column % blocksWide);
  return coefficients[block * COEFFICIENTS + (ZIGZAG_INDEX[place] as number)] as number;
};

/** The inverse of ZIGZAG: from a place in the block to its k. */
const ZIGZAG_INDEX = Uint8Array.from({ length: COEFFICIENTS }, (_, place) => ZIGZAG.indexOf(place));

interface Panel {
  component: JpegComponent;
  layout: Layout;
  left: number;
  top: number;
  /** Rows and columns of values between lines. */
  tile: readonly [rows: number, columns: number];
}

interface Scale {
  /** Pixels a value, at least 1; or values a pixel's side, where they are reduced. */
  cell: number;
  reduce: number;
}

/** @returns the bytes of an RGB PNG. */
export function mosaicPng({ components }: JpegImage): Uint8Array {
  const scale = scaleFor(components);
  const panels: Panel[] = [];
  let left = MARGIN;
  let bottom = 0;
  for (const component of components) {
    const { blocksHigh, blocksWide } = component;
    const below = 2 * MARGIN + panelLength(blocksHigh, scale);
    panels.push({ component, layout: byBlock, left, top: MARGIN, tile: [BLOCK, BLOCK] });
    panels.push({ component, layout: byFrequency, left, top: below, tile: [blocksHigh, blocksWide] });
    left += panelLength(blocksWide, scale) + MARGIN;
    bottom = Math.max(bottom, below + panelLength(blocksHigh, scale) + MARGIN);
  }
  const data = new Uint8Array(left * bottom * 3).fill(0xff);
  const colours = colourTable(components);
  for (const panel of panels) drawPanel(data, left, panel, scale, colours);
  return encode({ width: left, height: bottom, data, channels: 3, depth: 8 });
}

function scaleFor(components: readonly JpegComponent[]): Scale {
  const longest =
    BLOCK * Math.max(...components.flatMap(({ blocksWide, blocksHigh }) => [blocksWide, blocksHigh]));
  const cell = Math.max(1, Math.min(MAX_CELL, Math.floor(COMFORTABLE_WIDTH / longest)));
  return { cell, reduce: Math.ceil(longest / MAX_PANEL) };
}

const panelLength = (blocks: number, { cell, reduce }: Scale) => Math.ceil((BLOCK * blocks) / reduce) * cell;

/** The colour of every value there is: `colours(value)`. */
function colourTable(components: readonly JpegComponent[]): (value: number) => Rgb {
  const largest = components.reduce(
    (most, { coefficients }) => coefficients.reduce((top, value) => Math.max(top, Math.abs(value)), most),
    0,
  );
  const colours = Array.from({ length: 2 * largest + 1 }, (_, at) =>
    divergingColour(symmetricLog(at - largest, largest)),
  );
  return (value) => colours[value + largest] as Rgb;
}

function drawPanel(
  data: Uint8Array,
  width: number,
  { component, layout, left, top, tile }: Panel,
  { cell, reduce }: Scale,
  colours: (value: number) => Rgb,
): void {
  const [rows, columns] = [BLOCK * component.blocksHigh, BLOCK * component.blocksWide];
  const isLined = cell >= LINED_CELL;
  for (let row = 0; row < rows; row += reduce) {
    for (let column = 0; column < columns; column += reduce) {
      const colour = colours(strongest(component, layout, row, column, reduce));
      const [y, x] = [top + (row / reduce) * cell, left + (column / reduce) * cell];
      const onRow = isLined && row % tile[0] === 0;
      const onColumn = isLined && column % tile[1] === 0;
      for (let i = 0; i < cell; i++)
        for (let j = 0; j < cell; j++)
          data.set(
            (onRow && i === 0) || (onColumn && j === 0) ? LINE : colour,
            ((y + i) * width + x + j) * 3,
          );
    }
  }
}

/** Of the values of a square, the one furthest from 0. */
function strongest(
  component: JpegComponent,
  layout: Layout,
  row: number,
  column: number,
  side: number,
): number {
  if (side === 1) return layout(component, row, column);
  let found = 0;
  const [rows, columns] = [BLOCK * component.blocksHigh, BLOCK * component.blocksWide];
  for (let y = row; y < Math.min(rows, row + side); y++) {
    for (let x = column; x < Math.min(columns, column + side); x++) {
      const value = layout(component, y, x);
      if (Math.abs(value) > Math.abs(found)) found = value;
    }
  }
  return found;
}
