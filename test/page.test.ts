import { encodeJpeg, readCoefficients, writeCoefficients } from "@jpeg-domain/coefficients";
import { expect, test } from "vitest";
import { hasChromium, outcomeOfFiles } from "./chromium.js";

/** A picture with something at every frequency. */
function picture(): Uint8Array {
  const [width, height] = [75, 53];
  const plane = (seed: number) =>
    Float32Array.from({ length: width * height }, (_, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      return 128 + 100 * Math.sin((x * x) / (40 + seed) + (y * y) / (60 - seed));
    });
  const planes = [plane(0), plane(9), plane(20)];
  return encodeJpeg({ width, height, colorSpace: "ycbcr", planes }, { quality: 90 });
}

/** What the page does, and Node as well. */
const PAGE = `<!doctype html><script type="module">
  import { readCoefficients, writeCoefficients } from "/packages/coefficients/dist/index.js";
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const bytes = new Uint8Array(await (await fetch("/picture.jpg")).arrayBuffer());
  const image = readCoefficients(bytes);
  const coefficients = image.components.map((component) => Array.from(component.coefficients));
  const written = hex(writeCoefficients(image, { progressive: true }));
  const outcome = document.createElement("pre");
  outcome.textContent = JSON.stringify({ coefficients, written });
  document.body.append(outcome);
</script>`;

test.skipIf(!hasChromium)("the codec works in a page as it does in Node", async () => {
  const jpeg = picture();
  const image = readCoefficients(jpeg);
  expect(await outcomeOfFiles(".", { "/": PAGE, "/picture.jpg": jpeg })).toEqual({
    coefficients: image.components.map(({ coefficients }) => Array.from(coefficients)),
    written: Buffer.from(writeCoefficients(image, { progressive: true })).toString("hex"),
  });
});
