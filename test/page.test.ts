import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { encodeJpeg, readCoefficients, writeCoefficients } from "../src/index.js";

const run = promisify(execFile);
const CHROMIUM = "/usr/bin/chromium";
const available = existsSync(CHROMIUM);
if (!available && process.env.CI)
  throw new Error(`${CHROMIUM} is missing: install Debian's package chromium`);
if (!available) console.warn("the codec is not tried in a page, for lack of Debian's chromium");

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

/** Runs in the page, and in Node. */
const PAGE = `<!doctype html><script type="module">
  import { readCoefficients } from "/dist/src/jpeg/read.js";
  import { writeCoefficients } from "/dist/src/jpeg/write.js";
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const bytes = new Uint8Array(await (await fetch("/picture.jpg")).arrayBuffer());
  const image = readCoefficients(bytes);
  const coefficients = image.components.map((component) => Array.from(component.coefficients));
  const written = hex(writeCoefficients(image, { progressive: true }));
  const outcome = document.createElement("pre");
  outcome.textContent = JSON.stringify({ coefficients, written });
  document.body.append(outcome);
</script>`;

test.skipIf(!available)("the codec works in a page as it does in Node", async () => {
  const jpeg = picture();
  const server = createServer(async ({ url = "/" }, response) => {
    const types: Record<string, string> = { ".js": "text/javascript", "": "text/html", ".jpg": "image/jpeg" };
    const type = types[extname(url)] ?? "text/plain";
    const found =
      url === "/" ? PAGE : url === "/picture.jpg" ? jpeg : await readFile(`.${url}`).catch(() => "");
    response.writeHead(found === "" ? 404 : 200, { "content-type": type }).end(found);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const profile = await mkdtemp(join(tmpdir(), "jpeg-domain-page-"));
  try {
    const { port } = server.address() as AddressInfo;
    const quiet = ["background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage"];
    const { stdout } = await run(
      CHROMIUM,
      [
        ...["--headless", "--no-sandbox", "--no-first-run", ...quiet.map((name) => `--disable-${name}`)],
        ...[
          `--user-data-dir=${profile}`,
          "--virtual-time-budget=20000",
          "--dump-dom",
          `http://127.0.0.1:${port}/`,
        ],
      ],
      { maxBuffer: 2 ** 26, timeout: 50_000 },
    );
    const outcome = JSON.parse(/<pre>(.*)<\/pre>/s.exec(stdout)?.[1] ?? "null");
    const image = readCoefficients(jpeg);
    expect(outcome.coefficients).toEqual(
      image.components.map(({ coefficients }) => Array.from(coefficients)),
    );
    expect(outcome.written).toBe(
      Buffer.from(writeCoefficients(image, { progressive: true })).toString("hex"),
    );
  } finally {
    server.close();
    await rm(profile, { recursive: true, force: true });
  }
});
