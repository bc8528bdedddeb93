import { type JpegSummary, ZIGZAG } from "@jpeg-domain/coefficients";
import { damageText, formatBytes } from "./format.js";

const COLOR_SPACES: Record<JpegSummary["colorSpace"], string> = {
  grayscale: "grayscale",
  ycbcr: "YCbCr",
  rgb: "RGB",
  cmyk: "CMYK",
  ycck: "YCCK",
  unknown: "two components",
};

/** A summary as lines of text. The first continues a line that starts with the file's name. */
export function summaryLines(summary: JpegSummary): string[] {
  const { width, height, fileBytes, zeroShare, orientation, iccProfileBytes, segments, damage } = summary;
  const order = summary.progressive ? "progressive" : "sequential";
  const kind = summary.arithmetic ? `${order}, arithmetic coded` : order;
  const color = [COLOR_SPACES[summary.colorSpace], summary.subsampling].filter((part) => part).join(" ");
  const bits = ((8 * fileBytes) / (width * height)).toFixed(2);
  const { quality, exact } = summary.quality;
  return [
    `${width}x${height} pixels, ${color}, ${kind}, ${formatBytes(fileBytes)} (${bits} bits per pixel)`,
    `  quality      ${exact ? quality : `about ${quality}; its tables are not exactly the IJG's`}`,
    `  zeros        ${percent(zeroShare)} of the coefficients`,
    ...summary.components.map(
      (component, c) =>
        `  component ${c}  id ${component.id}, sampling ${component.horizontalSampling}x${component.verticalSampling}, ${component.blocksWide}x${component.blocksHigh} blocks, table ${component.table}, ${percent(component.zeroShare)} zeros`,
    ),
    ...summary.tables.flatMap(tableLines),
    ...scanLines(summary),
    ...(orientation === undefined ? [] : [`  orientation  ${orientation}`]),
    ...(damage === undefined ? [] : [`  damage       ${damageText(damage)}`]),
    ...(iccProfileBytes === undefined ? [] : [`  ICC profile  ${formatBytes(iccProfileBytes)}`]),
    ...(segments.length === 0
      ? []
      : [
          `  segments     ${segments.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`).join(", ")}`,
        ]),
  ];
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** A quantisation table as 8 rows by frequency, as annex K of T.81 prints it. */
function tableLines(table: readonly number[], slot: number): string[] {
  const raster = ZIGZAG.map((_, place) => table[ZIGZAG.indexOf(place)] as number);
  const digits = String(Math.max(...raster)).length;
  return Array.from({ length: 8 }, (_, row) => {
    const entries = raster.slice(8 * row, 8 * row + 8).map((entry) => String(entry).padStart(digits));
    return `  ${(row === 0 ? `table ${slot}` : "").padEnd(11)}  ${entries.join(" ")}`;
  });
}

function scanLines({ scans, restartInterval, progressive }: JpegSummary): string[] {
  const restarts = restartInterval > 0 ? `, a restart marker every ${restartInterval} MCUs` : "";
  const lines = scans.map((scan, index) => {
    const { spectralStart, spectralEnd, approximationHigh, approximationLow } = scan;
    const components = `component${scan.components.length > 1 ? "s" : ""} ${scan.components.join(", ")}`;
    const bits = approximationHigh === 0 ? `from bit ${approximationLow}` : `bit ${approximationLow}`;
    const band = progressive ? `, frequencies ${spectralStart} to ${spectralEnd}, ${bits}` : "";
    return `    ${index}: ${components}${band}`;
  });
  return [`  scans        ${scans.length}${restarts}`, ...lines];
}
