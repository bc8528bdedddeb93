import { readFile, writeFile } from "node:fs/promises";
import fc from "fast-check";
import { decode } from "fast-png";
import { beforeAll, describe, expect, test } from "vitest";
import { divergingColour } from "../packages/cli/src/views/colours.js";
import {
  escapeHtml,
  formatBytes,
  formatDuration,
  formatNumber,
  formatPercent,
  formatSmall,
} from "../packages/cli/src/views/format.js";
import { loadSplit, planes } from "../packages/experiments/src/data/mnist.js";
import { renderReport } from "../packages/experiments/src/report/page.js";
import { coefficientPng, digitPng, symmetricLog } from "../packages/experiments/src/report/pictures.js";
import {
  comparePlans,
  convertedCandidate,
  spatialCandidate,
} from "../packages/experiments/src/report/plans.js";
import { logitPlot } from "../packages/experiments/src/report/plots.js";
import type { Digit, NotebookReport } from "../packages/experiments/src/report/results.js";

/** The notebook's zigzag table: the index k of each frequency (alpha, beta). */
const NOTEBOOK_Z = [
  [0, 1, 5, 6, 14, 15, 27, 28],
  [2, 4, 7, 13, 16, 26, 29, 42],
  [3, 8, 12, 17, 25, 30, 41, 43],
  [9, 11, 18, 24, 31, 40, 44, 53],
  [10, 19, 23, 32, 39, 45, 52, 54],
  [20, 22, 33, 38, 46, 51, 55, 60],
  [21, 34, 37, 47, 50, 56, 59, 61],
  [35, 36, 48, 49, 57, 58, 62, 63],
];
const NOTEBOOK_Q = [
  8, 16, 16, 19, 16, 19, 22, 22, 22, 22, 22, 22, 26, 24, 26, 27, 27, 27, 26, 26, 26, 26, 27, 27, 27, 29, 29,
  29, 34, 34, 34, 29, 29, 29, 27, 27, 29, 29, 32, 32, 34, 34, 37, 38, 37, 35, 35, 34, 35, 38, 38, 40, 40, 40,
  48, 48, 46, 46, 56, 56, 58, 69, 69, 83,
];

/** The notebook's J, directly from the formula. */
function compressed(pixels: Float32Array): Float32Array {
  const result = new Float32Array(4 * 4 * 64);
  const scale = (frequency: number) => (frequency === 0 ? Math.SQRT1_2 : 1);
  for (let block = 0; block < 16; block++) {
    for (let alpha = 0; alpha < 8; alpha++) {
      for (let beta = 0; beta < 8; beta++) {
        let sum = 0;
        for (let i = 0; i < 8; i++) {
          for (let j = 0; j < 8; j++) {
            const pixel = pixels[(Math.floor(block / 4) * 8 + i) * 32 + (block % 4) * 8 + j] as number;
            sum +=
              pixel *
              Math.cos(((2 * i + 1) * alpha * Math.PI) / 16) *
              Math.cos(((2 * j + 1) * beta * Math.PI) / 16);
          }
        }
        const k = NOTEBOOK_Z[alpha]?.[beta] as number;
        result[block * 64 + k] = (0.25 * scale(alpha) * scale(beta) * sum) / (NOTEBOOK_Q[k] as number);
      }
    }
  }
  return result;
}

async function sampleReport(): Promise<NotebookReport> {
  const set = await loadSplit(undefined, "test");
  const digitAt = (index: number): Digit => ({
    pixels: planes(set, [index]),
    rows: 32,
    columns: 32,
    label: set.labels[index] as number,
  });
  const digits = (from: number) => Array.from({ length: 10 }, (_, i) => digitAt(from + i));
  const steps = 2345;
  const training = Array.from({ length: steps }, (_, step) => {
    const noise = Math.abs(Math.sin(step * 12.9898) * 43758.5453) % 1;
    const point = {
      epoch: Math.floor(step / 469),
      step,
      loss: (2.3 / (1 + step / 12) + 0.01) * (0.4 + 1.2 * noise),
    };
    return (step + 1) % 469 === 0 ? { ...point, testAccuracy: 0.991 - 0.02 / (point.epoch + 1) ** 2 } : point;
  });
  const frequencies = Array.from({ length: 15 }, (_, n) =>
    (["asm", "apx"] as const).map((relu) => ({
      n,
      relu,
      correct: Math.round(9912 - (relu === "asm" ? 4000 : 6500) * Math.exp(-n / 1.6) * (n < 14 ? 1 : 0)),
      total: 10000,
      maxLogitDifference:
        n === 14 ? (relu === "asm" ? 2.1e-5 : 0) : (relu === "asm" ? 14 : 19) * Math.exp(-n / 5),
    })),
  ).flat();
  return {
    dataset: "MNIST <sample>",
    model: "mnist-resnet-pytorch.onnx, the notebook's ResNet: 3 residual blocks, 77,754 parameters",
    spatial: { correct: 9912, total: 10000, meanLoss: 0.02791, imagesPerSecond: 3120 },
    exact: {
      correct: 9912,
      total: 10000,
      meanLoss: 0.02791,
      imagesPerSecond: 2980,
      maxLogitDifference: 2.1e-5,
      samePredictions: 10000,
    },
    asm10: {
      correct: 9903,
      total: 10000,
      meanLoss: 0.03012,
      imagesPerSecond: 1411,
      maxLogitDifference: 3.71,
      samePredictions: 9969,
    },
    plans: [
      {
        plan: "spatial",
        relu: "exact",
        imagesPerSecond: 3120,
        fileBytes: 309025,
        operatorBytes: 311016,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
      },
      {
        plan: "fused",
        relu: "exact",
        imagesPerSecond: 2980,
        fileBytes: 331012,
        operatorBytes: 330240,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
      },
      {
        plan: "fused",
        relu: "asm 10",
        imagesPerSecond: 1411,
        fileBytes: 361012,
        operatorBytes: 350240,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
      },
      {
        plan: "blockwise",
        relu: "exact",
        imagesPerSecond: 190,
        fileBytes: 82_310_000,
        operatorBytes: 82_300_000,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
      },
      {
        plan: "blockwise",
        relu: "asm 10",
        imagesPerSecond: 171,
        fileBytes: 82_340_000,
        operatorBytes: 82_330_000,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
      },
      {
        plan: "exploded",
        relu: "exact",
        imagesPerSecond: 8.3,
        fileBytes: 320_000,
        operatorBytes: 1_430_000_000,
        multiplyAdds: 1e7,
        ofSpatial: 0.5,
        note: "The operators are built when the session starts, so the file stays small.",
      },
    ],
    frequencies,
    rmse: Array.from({ length: 15 }, (_, n) => ({
      n,
      asm: n === 14 ? 0 : 0.42 * Math.exp(-n / 3.6),
      apx: n === 14 ? 0 : 0.46 * Math.exp(-n / 6),
    })),
    training,
    trainDigits: digits(100),
    testDigits: digits(0),
    reconstructedDigits: digits(0),
    coefficients: {
      data: compressed(planes(set, [0])),
      blocksHigh: 4,
      blocksWide: 4,
      label: 7,
      digit: digitAt(0),
    },
    peakBytes: 9e8,
    peakBytesWithEveryPlan: 6.3e9,
    reconstructionError: 7.2e-7,
    conversionMilliseconds: { "fused, exact": 38.2, "fused, asm 10": 51, "exploded, exact": 4210 },
    seconds: { "load data": 0.21, train: 754, convert: 4.3, evaluate: 31.8, measure: 58 },
    machine: 'Intel "Xeon" & co, 2 cores, 8 GB',
    versions: { "jpeg-domain": "0.1.0", node: "v20.20.2", "onnxruntime-node": "1.30.0" },
  };
}

/** Throws unless `xml` is well-formed: tags nest, attributes are quoted and unique, no bare & or <. */
function parseXml(xml: string): { name: string; attributes: Map<string, string> }[] {
  const elements: { name: string; attributes: Map<string, string> }[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < xml.length) {
    const next = xml.indexOf("<", at);
    const text = xml.slice(at, next < 0 ? undefined : next);
    if (/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/i.test(text)) throw new Error(`bare & in "${text}"`);
    if (next < 0) break;
    tag.lastIndex = next;
    const match = tag.exec(xml);
    if (match === null) throw new Error(`not a tag: ${xml.slice(next, next + 60)}`);
    const [whole, closing, name = "", attributeText = "", empty] = match;
    if (closing) {
      if (open.pop() !== name) throw new Error(`</${name}> closes another element`);
    } else {
      const attributes = new Map<string, string>();
      for (const [, key = "", value = ""] of attributeText.matchAll(/([\w:-]+)="([^"]*)"/g)) {
        if (attributes.has(key)) throw new Error(`<${name}> has ${key} twice`);
        if (/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/i.test(value)) throw new Error(`bare & in ${key}`);
        attributes.set(key, value);
      }
      elements.push({ name, attributes });
      if (!empty) open.push(name);
    }
    at = next + whole.length;
  }
  if (open.length > 0) throw new Error(`unclosed: ${open.join(" ")}`);
  return elements;
}

describe("the page", () => {
  let report: NotebookReport;
  let page: string;
  let svgs: string[];
  beforeAll(async () => {
    report = await sampleReport();
    page = await renderReport(report);
    svgs = page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
    const preview = process.env.REPORT_PREVIEW;
    if (preview !== undefined) await writeFile(preview, page);
  });

  test("loads nothing from outside and runs nothing", () => {
    const sources = [...page.matchAll(/\s(?:src|href|xlink:href|action|poster|srcset)="([^"]*)"/g)].map(
      ([, url]) => url,
    );
    expect(sources.length).toBe(32);
    for (const source of sources) expect(source).toMatch(/^data:image\/png;base64,[A-Za-z0-9+/]+=*$/);
    expect(page).not.toMatch(
      /<(script|link|iframe|object|embed|foreignObject)|\son\w+=|@import|url\(|javascript:/i,
    );
    const addresses = new Set(page.match(/https?:[^"'\s<)]*/g));
    addresses.delete("http://www.w3.org/2000/svg");
    addresses.delete("http://www.w3.org/1999/xlink");
    expect([...addresses]).toEqual([]);
  });

  test("follows the notebook's order", () => {
    const titles = [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title);
    expect(titles).toEqual([
      "The data",
      "Training on pixels",
      "The JPEG transform",
      "Conversion",
      "The approximated ReLU",
      "Speed and size",
      "This run",
    ]);
  });

  test("starts with the result in words and in a table", () => {
    const opening = page.slice(page.indexOf("<main>"), page.indexOf("<h2>")).replace(/\s+/g, " ");
    expect(opening).toContain("<strong>on all 10,000 test images</strong>");
    expect(opening).toContain("no logit differs by more than 2.1 × 10⁻⁵");
    expect(opening).toContain("it is right on 9,903, 9 fewer than the pixel network");
    const rows = [...opening.matchAll(/<tr>(.*?)<\/tr>/g)].map(([row]) => row.replace(/<[^>]+>/g, "|"));
    expect(rows.length).toBe(4);
    expect(rows[1]).toMatch(/pixel network.*9,912 of 10,000.*99\.12 %.*0\.0279.*3,120/);
    expect(rows[3]).toMatch(/ASM, n = 10.*9,903 of 10,000.*99\.03 %.*9,969.*3\.7.*1,411/);
  });

  test("escapes names", () => {
    expect(page).toContain("Inference on JPEG coefficients: MNIST &lt;sample&gt;");
    expect(page).toContain("Intel &quot;Xeon&quot; &amp; co, 2 cores");
    expect(page).not.toContain("<sample>");
  });

  test("is well-formed throughout, not only its plots", () => {
    const body = page.slice(page.indexOf("<body>"), page.indexOf("</html>"));
    const elements = parseXml(body.replace(/<(meta|img)([^>]*)>/g, "<$1$2/>"));
    for (const { name, attributes } of elements)
      if (name === "img") expect(attributes.get("alt")).toBeTruthy();
    expect(svgs.length).toBe(7);
    for (const svg of svgs) {
      const [root, ...inner] = parseXml(svg);
      expect(root?.attributes.get("viewBox")).toBeTruthy();
      expect(root?.attributes.get("aria-label")).toBeTruthy();
      expect(inner.length).toBeGreaterThan(10);
      expect(svg).not.toMatch(/NaN|undefined|Infinity|\sid=/);
    }
  });

  test("shows every value of the plans", () => {
    const [throughput = "", size = ""] = svgs.slice(-2);
    for (const text of ["3,120", "2,980", "1,411", "190", "171", "8.3"])
      expect(throughput).toContain(`>${text}</text>`);
    for (const text of ["309 kB", "82 MB", "320 kB", "1.4 GB"]) expect(size).toContain(`>${text}</text>`);
    for (const plot of [throughput, size]) {
      for (const plan of ["pixel network", "fused, exact", "fused, asm 10", "exploded, exact"]) {
        expect(plot).toContain(`>${plan}</text>`);
      }
    }
  });

  test("its digits decode to the images, dark on white", () => {
    const [first = ""] = page.slice(page.indexOf("Test images")).match(/data:image\/png;base64,[^"]+/) ?? [];
    const png = decode(Buffer.from(first.slice(first.indexOf(",") + 1), "base64"));
    const pixels = report.testDigits[0]?.pixels as Float32Array;
    expect([png.width, png.height, png.channels, png.depth]).toEqual([32, 32, 1, 8]);
    // The plane's range is that of bytes 0 to 255 (less if no pixel has full ink), so grey is 255 - byte.
    const byte = (value: number) => Math.round((value * 0.3081 + 0.1307) * 255);
    const most = pixels.reduce((a, b) => Math.max(a, byte(b)), 0);
    pixels.forEach((value, i) => {
      expect(Math.abs((png.data[i] as number) - (255 - (byte(value) * 255) / most))).toBeLessThanOrEqual(
        0.51,
      );
    });
  });

  test("is still complete when the run skipped stages", async () => {
    const bare = await renderReport({
      ...report,
      training: [],
      frequencies: [],
      rmse: [],
      plans: [],
      trainDigits: [],
      conversionMilliseconds: {},
      exact: { ...report.exact, samePredictions: 9998 },
      asm10: { ...report.asm10, correct: 9912 },
    });
    parseXml(
      bare.slice(bare.indexOf("<body>"), bare.indexOf("</html>")).replace(/<(img)([^>]*)>/g, "<$1$2/>"),
    );
    expect(bare).toContain("this run did no training");
    expect(bare).toContain("on 9,998 of 10,000 test images");
    expect(bare).toContain("it is right on 9,912, as many as the pixel network");
    expect(bare).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe("pictures", () => {
  test("coefficients are at their frequencies, with lines between blocks", () => {
    const data = new Float32Array(2 * 64);
    data[0] = 4; // block 0, mean
    data[64 + 3] = -4; // block 1, k = 3 is alpha 2, beta 0
    const png = decode(coefficientPng({ data, blocksHigh: 1, blocksWide: 2, label: 0 }));
    expect([png.width, png.height, png.channels]).toEqual([2 + 2 * 82, 2 + 82, 3]);
    const at = (x: number, y: number) => [
      ...png.data.subarray((y * png.width + x) * 3, (y * png.width + x) * 3 + 3),
    ];
    const [red, blue, white, line] = [
      [0xb2, 0x18, 0x2b],
      [0x21, 0x66, 0xac],
      [255, 255, 255],
      [0x55, 0x55, 0x55],
    ];
    expect(at(2, 2)).toEqual(red);
    expect(at(11, 11)).toEqual(red);
    expect(at(12, 2)).toEqual(white);
    expect(at(84 + 5, 22 + 5)).toEqual(blue);
    expect(at(84 + 5, 2)).toEqual(white);
    for (const [x, y] of [
      [0, 40],
      [83, 40],
      [165, 40],
      [40, 0],
      [40, 83],
    ] as const)
      expect(at(x, y)).toEqual(line);
  });

  test("a digit without contrast is white, and one pixel of ink is black", () => {
    const blank = digitPng({ pixels: new Float32Array(6).fill(-0.42), rows: 2, columns: 3, label: 0 });
    expect([...decode(blank).data]).toEqual(new Array(6).fill(255));
    const dot = digitPng({ pixels: Float32Array.of(-1, 3, 1, -1, -1, -1), rows: 2, columns: 3, label: 0 });
    expect([...decode(dot).data]).toEqual([255, 0, 128, 255, 255, 255]);
  });

  test("the colour scale is odd, monotone and ends at the largest value", () => {
    const value = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(symmetricLog(-a, 1)).toBeCloseTo(-symmetricLog(a, 1), 12);
        if (a < b) expect(symmetricLog(a, 1)).toBeLessThanOrEqual(symmetricLog(b, 1));
      }),
    );
    expect([symmetricLog(0, 5), symmetricLog(5, 5), symmetricLog(-5, 5), symmetricLog(0, 0)]).toEqual([
      0, 1, -1, 0,
    ]);
    expect(divergingColour(0)).toEqual([255, 255, 255]);
    expect(divergingColour(7)).toEqual(divergingColour(1));
  });
});

test("differences of exactly zero can be drawn, everywhere or somewhere", async () => {
  for (const differences of [
    [0, 0],
    [0, 12],
    [1e-30, 1e-5],
  ]) {
    const points = differences.map((maxLogitDifference, n) => ({
      n,
      relu: "asm" as const,
      correct: 1,
      total: 1,
      maxLogitDifference,
    }));
    const svg = await logitPlot(points);
    parseXml(svg);
    expect(svg).not.toMatch(/NaN|Infinity/);
  }
});

test("a plan's speed agrees with its share of the spatial model's, in every group that is timed together", async () => {
  const model = await readFile("packages/experiments/models/mnist-resnet.onnx");
  const conversions = [{ plan: "fused" }, { plan: "blockwise" }] as const;
  const candidates = [spatialCandidate(model), ...conversions.map((o) => convertedCandidate(model, o))];
  // As if it needed gigabytes: it is timed separately.
  const last = candidates.at(-1);
  if (last) last.cost = { ...last.cost, operatorBytes: 2e9, largestOperatorBytes: 1 };
  const images = planes(await loadSplit(undefined, "test"), { from: 0, to: 16 });
  const [spatial, ...plans] = await comparePlans(candidates, images, 16, { rounds: 5 });
  expect(plans).toHaveLength(2);
  for (const { imagesPerSecond, ofSpatial } of plans) {
    expect(ofSpatial).toBeGreaterThan(0);
    expect(Math.abs(imagesPerSecond / (spatial?.imagesPerSecond as number) - ofSpatial)).toBeLessThan(1e-9);
  }
});

test("numbers read well", () => {
  expect([0, 3.1459, 9.96, 1234.5, 1e6].map(formatNumber)).toEqual(["0", "3.1", "10", "1,235", "1,000,000"]);
  expect([0, 2.1e-5, -4e-7, 0.5, 12.34, 40000].map(formatSmall)).toEqual([
    "0",
    "2.1 × 10⁻⁵",
    "-4.0 × 10⁻⁷",
    "0.50",
    "12",
    "4.0 × 10⁴",
  ]);
  expect([0, 999, 999.7, 1499, 309025, 1.43e9].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "1.5 kB",
    "309 kB",
    "1.4 GB",
  ]);
  expect([0.0123, 0.9, 12.34, 59.99, 754].map(formatDuration)).toEqual([
    "12 ms",
    "900 ms",
    "12.3 s",
    "60.0 s",
    "12 min 34 s",
  ]);
  expect(formatPercent(0.9912)).toBe("99.12 %");
  expect([formatNumber(Number.NaN), formatPercent(0 / 0), formatSmall(Number.NaN)]).toEqual([
    "n/a",
    "n/a",
    "n/a",
  ]);
  expect(escapeHtml(`<a href='x' b="&">`)).toBe("&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;");
});
