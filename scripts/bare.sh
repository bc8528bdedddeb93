#!/usr/bin/env bash
# Runs a command as on a machine without the Debian packages that tests compare with (as root, on Linux):
#   scripts/bare.sh npx vitest run
# shows which tests are skipped there. The packages are hidden only from this command.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$#" -gt 0 ] || { echo "usage: scripts/bare.sh COMMAND ARGUMENTS" >&2; exit 2; }

layer=$(mktemp -d)
trap 'rmdir "$layer"' EXIT
export layer
unset CI
# Hides a Python from pyenv too.
PATH=$(tr : '\n' <<<"$PATH" | grep -v pyenv | paste -sd :)
unshare --mount bash -c '
  set -e
  mount -t tmpfs tmpfs "$layer"
  mkdir "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=/usr,upperdir=$layer/upper,workdir=$layer/work" /usr
  rm -rf /usr/bin/{cjpeg,djpeg,jpegtran,chromium,gcc*,cc,c++,g++*,python3*} /usr/lib/{chromium,python3} \
    /usr/include/{jpeglib.h,jconfig.h} /usr/share/{backgrounds,datasets}
  "$@"' bare "$@"
