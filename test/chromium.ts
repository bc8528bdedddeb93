/** Debian's chromium, for what has to be tried in a page. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const CHROMIUM = "/usr/bin/chromium";

export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium && process.env.CI)
  throw new Error(`${CHROMIUM} is not here: Debian's package chromium brings it`);
if (!hasChromium) console.warn("nothing is tried in a page, for lack of Debian's chromium");

const TYPES: Record<string, string> = { ".js": "text/javascript", "": "text/html", ".html": "text/html" };

/**
 * What the page at this address leaves as text in its `<pre>`, as JSON, once no timer or request of it is left. What the
 * page fails with is an error here.
 */
export async function outcomeOf(address: string): Promise<unknown> {
  const profile = await mkdtemp(join(tmpdir(), "jpeg-domain-page-"));
  const quiet = ["background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage"];
  try {
    const { stdout, stderr } = await run(
      CHROMIUM,
      [
        ...["--headless", "--no-sandbox", "--no-first-run", "--enable-logging=stderr"],
        ...quiet.map((name) => `--disable-${name}`),
        ...[`--user-data-dir=${profile}`, "--virtual-time-budget=20000", "--dump-dom", address],
      ],
      { maxBuffer: 2 ** 26, timeout: 50_000 },
    );
    const text = /<pre>(.*)<\/pre>/s.exec(stdout)?.[1];
    if (text === undefined)
      throw new Error(`the page left nothing: ${/CONSOLE.*/.exec(stderr)?.[0] ?? stdout}`);
    return JSON.parse(text.replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">"));
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

/** The same of a page whose files a plain server sends: those given by their path, others from the folder. */
export async function outcomeOfFiles(
  folder: string,
  given: Record<string, string | Uint8Array>,
): Promise<unknown> {
  const server = createServer(async ({ url = "/" }, response) => {
    const found = given[url] ?? (await readFile(join(folder, url)).catch(() => undefined));
    response.writeHead(found === undefined ? 404 : 200, {
      "content-type": TYPES[extname(url)] ?? "application/octet-stream",
    });
    response.end(found);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  try {
    return await outcomeOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.close();
  }
}
