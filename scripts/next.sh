#!/usr/bin/env bash
# Builds a Next application, which installs the packages of codec and conversion from their tarballs, by Turbopack and by
# webpack. Fails if Next warns. Not among the tests: Next is 300 MB. Run `npm run build` before.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --ignore-scripts --pack-destination "$folder" \
  --workspace=@jpeg-domain/coefficients --workspace=@jpeg-domain/conversion >/dev/null
mkdir "$folder/app"
cat >"$folder/app/layout.js" <<'JS'
export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
JS
# Once on the server, when the page is built, and once in the browser.
cat >"$folder/app/page.js" <<'JS'
import { encodeJpeg, readCoefficients } from "@jpeg-domain/coefficients";
import Client from "./client";
export default function Page() {
  const planes = [new Float32Array(256).fill(9)];
  const file = encodeJpeg({ width: 16, height: 16, colorSpace: "grayscale", planes }, { quality: 90 });
  return <main>{`${readCoefficients(file).components[0].coefficients.length} coefficients`}<Client /></main>;
}
JS
cat >"$folder/app/client.js" <<'JS'
"use client";
import { readCoefficients } from "@jpeg-domain/coefficients";
import { convert } from "@jpeg-domain/conversion";
export default function Client() {
  return <button type="button" onClick={() => [readCoefficients, convert]}>try</button>;
}
JS
cd "$folder"
echo '{ "private": true }' >package.json
npm install --no-audit --no-fund --silent next react react-dom ./*.tgz
export NEXT_TELEMETRY_DISABLED=1
for bundler in turbopack webpack; do
  npx next build "--$bundler" 2>&1 | tee "$bundler.txt"
  # Next's own remark on its build cache aside.
  if grep -iE "warn|error" "$bundler.txt" | grep -v "No build cache found"; then
    echo "Next warns with $bundler" >&2
    exit 1
  fi
  grep -q "256 coefficients" .next/server/app/index.html || { echo "the page lacks its text" >&2; exit 1; }
  echo "Next builds with $bundler without a warning"
done
