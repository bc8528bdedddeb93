import { ZIGZAG } from "@jpeg-domain/coefficients";
import { encode } from "fast-png";
import { divergingColour, escapeHtml, GRID_GREY } from "jpeg-domain/internal";
import type { CoefficientPicture, Digit } from "./results.js";

const BLOCK = 8;
const COEFFICIENTS = BLOCK * BLOCK;

/** Pixels per coefficient and per grid line of {@link coefficientPng}. */
const CELL = 10;
const GRID = 2;

/** The colour scale is about linear below a hundredth of the largest value, and logarithmic above it. */
const LINEAR_SHARE = 0.01;

/**
 * A digit as a grey PNG of its own size, dark ink on white (`gray_r`), scaled from its smallest to its largest value. A
 * digit without contrast is white.
 */
export function digitPng(digit: Digit): Uint8Array {
  let least = Number.POSITIVE_INFINITY;
  let largest = Number.NEGATIVE_INFINITY;
  for (const value of digit.pixels) {
    least = Math.min(least, value);
    largest = Math.max(largest, value);
  }
  const scale = largest > least ? 255 / (largest - least) : 0;
  const data = Uint8Array.from(digit.pixels, (value) => Math.round(255 - (value - least) * scale));
  return encode({ width: digit.columns, height: digit.rows, data, channels: 1, depth: 8 });
}

/** A row of digits with their labels, as HTML that wraps on a narrow page. */
export function digitStrip(digits: readonly Digit[]): string {
  const figures = digits.map((digit) => {
    const image = pngImage(
      digitPng(digit),
      `Image labelled ${digit.label}`,
      digit.columns * 2,
      digit.rows * 2,
    );
    return `<figure>${image}<figcaption>${digit.label}</figcaption></figure>`;
  });
  return `<div class="digits">${figures.join("")}</div>`;
}

/**
 * The coefficients as an RGB PNG: each block's 64 values at the place of their frequency, with the mean at the top left
 * and lines between blocks. Blue is negative, white zero, red positive; see {@link symmetricLog}.
 */
export function coefficientPng(picture: CoefficientPicture): Uint8Array {
  const { blocksHigh, blocksWide } = picture;
  const width = pictureLength(blocksWide);
  const height = pictureLength(blocksHigh);
  const data = new Uint8Array(width * height * 3).fill(GRID_GREY);
  const largest = largestMagnitude(picture.data);
  for (let block = 0; block < blocksHigh * blocksWide; block++) {
    const top = GRID + Math.floor(block / blocksWide) * (BLOCK * CELL + GRID);
    const left = GRID + (block % blocksWide) * (BLOCK * CELL + GRID);
    for (let k = 0; k < COEFFICIENTS; k++) {
      const colour = divergingColour(symmetricLog(picture.data[block * COEFFICIENTS + k] ?? 0, largest));
      const place = ZIGZAG[k] as number;
      const y = top + Math.floor(place / BLOCK) * CELL;
      const x = left + (place % BLOCK) * CELL;
      for (let row = y; row < y + CELL; row++) {
        for (let column = x; column < x + CELL; column++) data.set(colour, (row * width + column) * 3);
      }
    }
  }
  return encode({ width, height, data, channels: 3, depth: 8 });
}

/** {@link coefficientPng} with its legend, and the image itself if known, as HTML. */
export function coefficientFigure(picture: CoefficientPicture): string {
  const width = pictureLength(picture.blocksWide);
  const height = pictureLength(picture.blocksHigh);
  const name = `coefficients of an image labelled ${picture.label}`;
  const coefficients = pngImage(coefficientPng(picture), `The ${name}`, width, height);
  const blocks = `${picture.blocksHigh} × ${picture.blocksWide} blocks of 8 × 8 frequencies, with the block's mean at the top left; blue is negative, red positive`;
  const right = `<figure>${coefficients}${legend(largestMagnitude(picture.data), width)}<figcaption>Its coefficients: ${blocks}</figcaption></figure>`;
  if (picture.digit === undefined) return `<div class="pair">${right}</div>`;
  const pixels = pngImage(digitPng(picture.digit), `Image labelled ${picture.label}`, width, height);
  const left = `<figure>${pixels}<figcaption>The pixels, label ${picture.label}</figcaption></figure>`;
  return `<div class="pair">${left}${right}</div>`;
}

/** An `<img>` with the PNG inside, magnified without smoothing. Sizes in CSS pixels. */
export function pngImage(png: Uint8Array, alt: string, width: number, height: number): string {
  const source = `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
  return `<img src="${source}" alt="${escapeHtml(alt)}" width="${width}" height="${height}">`;
}

/**
 * Where `value` lies on the colour scale, -1 to 1:
 * `sign(v) ln(1 + |v| / c) / ln(1 + largest / c)` with `c = largest / 100`.
 */
export function symmetricLog(value: number, largest: number): number {
  if (largest === 0 || !Number.isFinite(value)) return 0;
  const linear = largest * LINEAR_SHARE;
  return (Math.sign(value) * Math.log1p(Math.abs(value) / linear)) / Math.log1p(1 / LINEAR_SHARE);
}

function legend(largest: number, width: number): string {
  const steps = 80;
  const margin = 20;
  const length = width - 2 * margin;
  const bars = Array.from({ length: steps }, (_, step) => {
    const [red, green, blue] = divergingColour(((step + 0.5) / steps) * 2 - 1);
    // A little wider than a step, so that no seams show.
    return `<rect x="${margin + (step * length) / steps}" y="0" width="${length / steps + 0.5}" height="12" fill="rgb(${red},${green},${blue})"/>`;
  });
  const ticks = legendTicks(largest).map((value) => {
    const x = (margin + ((symmetricLog(value, largest) + 1) / 2) * length).toFixed(1);
    const text = Number(value.toPrecision(2)).toString().replace("-", "−");
    return `<path d="M${x} 12v4" stroke="#555"/><text x="${x}" y="28" text-anchor="middle">${text}</text>`;
  });
  return `<svg class="legend" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} 32" width="${width}" height="32" role="img" aria-label="Colour scale, symmetric logarithmic">${bars.join("")}${ticks.join("")}</svg>`;
}

/** Zero, the extremes, and the powers of ten between them that have room for their labels. */
function legendTicks(largest: number): number[] {
  if (largest === 0) return [0];
  const powers: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(largest)); symmetricLog(power, largest) > 0.2; power /= 10) {
    if (symmetricLog(power, largest) < 0.85) powers.push(power);
  }
  const positive = [largest, ...powers];
  return [...positive.map((value) => -value), 0, ...positive.reverse()];
}

function pictureLength(blocks: number): number {
  return blocks * (BLOCK * CELL + GRID) + GRID;
}

function largestMagnitude(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
