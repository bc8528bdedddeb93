#!/usr/bin/env bash
# Tries the library in other engines, all from the npm registry: Deno, Bun, npm 10 and 12, and Node 22 with the tests that
# depend on the engine. Build the library first. Arguments, if any, are the test files.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "no engines for $(uname -m)" >&2; exit 1 ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
install() { # INTO PACKAGES...
  local into=$1; shift
  mkdir "$folder/$into"
  npm install --prefix "$folder/$into" --ignore-scripts --no-audit --no-fund --silent "$@"
}
install engines "node-linux-$arch@22" "@oven/bun-linux-$arch@1" "@deno/linux-$arch-glibc@2"
install npm10 npm@10
# npm 12 needs Node 22, but another npm can install it.
install npm12 npm@12

engines=$folder/engines/node_modules
node22=$engines/node-linux-$arch/bin
expected=$(node scripts/engines.mjs)
try() { # NAME COMMAND...
  local name=$1; shift
  [ "$("$@" scripts/engines.mjs)" = "$expected" ] || { echo "$name gives other results than Node" >&2; exit 1; }
  echo "$name gives Node's results"
}
try "Node 22" "$node22/node"
try "Bun $("$engines/@oven/bun-linux-$arch/bin/bun" --version)" "$engines/@oven/bun-linux-$arch/bin/bun"
try "Deno 2" "$engines/@deno/linux-$arch-glibc/deno" run --quiet --allow-all

vitest() { "$root/node_modules/.bin/vitest" run --maxWorkers=100% --testTimeout=120000 --hookTimeout=120000 "$@"; }
echo "npm 10:"
PATH="$folder/npm10/node_modules/.bin:$PATH" vitest test/packages.test.ts
echo "Node 22 with npm 12:"
export PATH="$folder/npm12/node_modules/.bin:$node22:$PATH"
if [ "$#" -gt 0 ]; then vitest "$@"; else
  # All but long tests that only compute: the engine makes no difference to them.
  vitest --exclude 'test/{train,main-job,report,tensorflow,models,blockwise,convert}*.test.ts'
fi
