#!/bin/sh
# Puts the photographs for bench/codec and the codec's tests into out/photographs. They come from two Debian packages,
# which are unpacked, not installed. Run it from the repository's root after apt-get update.
set -eu
target=out/photographs
mkdir -p "$target"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
here=$(pwd)
cd "$temporary"
apt-get download lomiri-wallpapers-20.04 mate-backgrounds
for package in *.deb; do dpkg-deb -x "$package" .; done
cd "$here"
cp "$temporary"/usr/share/backgrounds/Kleiber_by_Lukas_Baubkus.jpg "$target/kleiber.jpg"
for name in Dune FreshFlower Garden RainDrops Wood; do
  cp "$temporary/usr/share/backgrounds/mate/nature/$name.jpg" "$target/$(echo "$name" | tr A-Z a-z).jpg"
done
ls "$target"
