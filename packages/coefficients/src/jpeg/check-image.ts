/** What an image must be to become a JPEG file. T.81, B.2.2 */
import { COLOR_SPACES } from "./color-space.js";
import { JpegImageError } from "./errors.js";
import type { JpegComponent, JpegImage, JpegSegment } from "./image.js";

const MAX_SIDE = 65535;
const MAX_SAMPLING = 4;
const MAX_ENTRY = 65535;
const MAX_SEGMENT = 65533;

/** The largest sampling factors, and the MCUs of an interleaved scan. */
export interface McuGrid {
  maxHorizontal: number;
  maxVertical: number;
  mcusWide: number;
  mcusHigh: number;
}

export function mcuGrid({ width, height, components }: JpegImage): McuGrid {
  const maxHorizontal = Math.max(...components.map((c) => c.horizontalSampling));
  const maxVertical = Math.max(...components.map((c) => c.verticalSampling));
  return {
    maxHorizontal,
    maxVertical,
    mcusWide: Math.ceil(width / (8 * maxHorizontal)),
    mcusHigh: Math.ceil(height / (8 * maxVertical)),
  };
}

/** @throws {JpegImageError} that says what is wrong, of which component, and what was expected. */
export function checkImage(image: JpegImage): void {
  const { width, height, colorSpace, components, coefficientsPerBlock = 64, segments = [] } = image;
  if (coefficientsPerBlock !== 64)
    throw new JpegImageError(`an image of ${coefficientsPerBlock} coefficients a block, expected all 64`);
  for (const [side, length] of Object.entries({ width, height }))
    if (!isWhole(length, 1, MAX_SIDE))
      throw new JpegImageError(
        `an image ${side} of ${length}, expected a whole number from 1 to ${MAX_SIDE}`,
      );
  const ids = COLOR_SPACES[colorSpace]?.ids;
  if (ids === undefined)
    throw new JpegImageError(
      `colour space "${colorSpace}", expected ${Object.keys(COLOR_SPACES).join(", ")}`,
    );
  if (components.length !== ids.length)
    throw new JpegImageError(`${components.length} components in ${colorSpace}, expected ${ids.length}`);
  components.forEach((component, c) => {
    const problem = samplingProblem(component) ?? tableProblem(component) ?? idProblem(component);
    if (problem !== undefined) throw new JpegImageError(`component ${c}: ${problem}`, c);
  });
  const grid = mcuGrid(image);
  components.forEach((component, c) => {
    const problem = sizeProblem(image, component, grid);
    if (problem !== undefined) throw new JpegImageError(`component ${c}: ${problem}`, c);
  });
  segments.forEach((segment, index) => {
    const problem = segmentProblem(segment);
    if (problem !== undefined) throw new JpegImageError(`segment ${index}: ${problem}`);
  });
}

const isWhole = (value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most;

function samplingProblem({ horizontalSampling: h, verticalSampling: v }: JpegComponent): string | undefined {
  if (isWhole(h, 1, MAX_SAMPLING) && isWhole(v, 1, MAX_SAMPLING)) return undefined;
  return `sampling factors ${h}x${v}, expected whole numbers from 1 to ${MAX_SAMPLING}`;
}

function tableProblem({ quantization }: JpegComponent): string | undefined {
  if (quantization.length !== 64)
    return `a quantisation table of ${quantization.length} entries, expected 64 in zigzag order`;
  // T.81 forbids an entry of 0, but files have it, and every decoder takes it.
  const bad = quantization.findIndex((entry) => !isWhole(entry, 0, MAX_ENTRY));
  if (bad < 0) return undefined;
  return `entry ${bad} of the quantisation table is ${quantization[bad]}, expected 0 to ${MAX_ENTRY}`;
}

function idProblem({ id }: JpegComponent): string | undefined {
  return isWhole(id, 0, 255) ? undefined : `identifier ${id}, expected a whole number from 0 to 255`;
}

function sizeProblem(image: JpegImage, component: JpegComponent, grid: McuGrid): string | undefined {
  const { horizontalSampling: h, verticalSampling: v, blocksWide, blocksHigh, coefficients } = component;
  const columns = Math.ceil((image.width * h) / (8 * grid.maxHorizontal));
  const rows = Math.ceil((image.height * v) / (8 * grid.maxVertical));
  if (blocksWide !== columns || blocksHigh !== rows)
    return `${blocksWide}x${blocksHigh} blocks, expected ${columns}x${rows} for ${image.width}x${image.height} pixels and sampling factors ${h}x${v} of ${grid.maxHorizontal}x${grid.maxVertical}`;
  if (!(coefficients instanceof Int16Array)) return "its coefficients are no Int16Array";
  const length = columns * rows * 64;
  if (coefficients.length === length) return undefined;
  return `${coefficients.length} coefficients, expected ${length} for ${columns}x${rows} blocks`;
}

function segmentProblem({ marker, data }: JpegSegment): string | undefined {
  if (marker !== 0xfe && !isWhole(marker, 0xe0, 0xef))
    return `marker 0x${marker.toString(16)}, expected 0xe0 to 0xef (APPn) or 0xfe (COM)`;
  if (data.length > MAX_SEGMENT)
    return `${data.length} bytes, expected at most ${MAX_SEGMENT}; a longer ICC profile or the like goes in several`;
  return undefined;
}
