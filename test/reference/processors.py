"""An image processor's planes of a JPEG file: python3 processors.py CONFIG.json < FILE > float32 [C, H, W].

The arithmetic of Hugging Face's classes, step by step in PIL and NumPy, from their formulas without their code.
"""
import io
import json
import sys

import numpy
from PIL import Image

config = json.load(open(sys.argv[1], encoding="utf-8"))
kind = (config.get("image_processor_type") or config["feature_extractor_type"])
kind = kind.replace("ImageProcessor", "").replace("FeatureExtractor", "")

HALF = ([0.5] * 3, [0.5] * 3)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
# class: the meaning of a plain number, size, crop (none: no crop by default), filter, mean and deviation
CLASSES = {
    "Beit": ("square", 256, 224, 3, HALF),
    "Bit": ("edge", 224, 224, 3, CLIP),
    "CLIP": ("edge", 224, 224, 3, CLIP),
    "ConvNext": ("edge", 384, None, 2, HALF),
    "DeiT": ("square", 256, 224, 3, HALF),
    "DPT": ("square", 384, None, 3, HALF),
    "EfficientNet": ("square", 346, None, 0, HALF),
    "Levit": ("edge", 224, 224, 3, IMAGENET),
    "MobileNetV2": ("edge", 256, 224, 2, HALF),
    "MobileViT": ("edge", 224, 256, 2, None),
    "Perceiver": ("square", 224, 256, 3, IMAGENET),
    "PoolFormer": ("edge", 224, 224, 3, IMAGENET),
    "Segformer": ("square", 512, None, 2, IMAGENET),
    "Siglip": ("square", 224, None, 3, HALF),
    "ViT": ("square", 224, None, 2, HALF),
}
plain, size, crop_size, resample, colours = CLASSES[kind]
size = config.get("size", {"edge": {"shortest_edge": size}, "square": {"height": size, "width": size}}[plain])
if isinstance(size, int):
    size = {"shortest_edge": size} if plain == "edge" else {"height": size, "width": size}
crops = config.get("do_center_crop", crop_size is not None)
crop_size = config.get("crop_size", crop_size)
if isinstance(crop_size, dict):
    crop_size = (crop_size["height"], crop_size["width"])
elif crop_size is not None:
    crop_size = (crop_size, crop_size)
resizes = config.get("do_resize", True)
share = config.get("crop_pct") or {"ConvNext": 224 / 256, "PoolFormer": 0.9}.get(kind)

image = Image.open(io.BytesIO(sys.stdin.buffer.read()))
gray = len(config.get("image_mean", [0, 0, 0])) == 1
image = image.convert("L" if gray else "RGB")


def to_edge(image, edge):
    width, height = image.size
    short = min(width, height)
    return int(edge * width / short), int(edge * height / short)


def middle(pixels, height, width):
    """The centre of [H, W, C], with zeros around it if it is larger."""
    top = (pixels.shape[0] - height) // 2
    left = (pixels.shape[1] - width) // 2
    out = numpy.zeros((height, width, pixels.shape[2]), pixels.dtype)
    rows = slice(max(top, 0), min(top + height, pixels.shape[0]))
    columns = slice(max(left, 0), min(left + width, pixels.shape[1]))
    out[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = pixels[rows, columns]
    return out


def levels(image):
    pixels = numpy.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


if kind == "Perceiver" and crops:
    short = min(image.size)
    part = [int(size[side] / crop_size[i] * short) for i, side in enumerate(("height", "width"))]
    image = Image.fromarray(middle(levels(image), *part))
    crops = False
if resizes:
    edge = size.get("shortest_edge")
    to = (size.get("width"), size.get("height"))
    if kind == "ConvNext":
        crops = edge < 384
        crop_size = (edge, edge)
        to = to_edge(image, int(edge / share)) if crops else (edge, edge)
    elif kind == "PoolFormer":
        to = to_edge(image, int((edge or size["height"]) / share))
    elif kind == "Levit" and edge:
        to = to_edge(image, int(256 / 224 * edge))
    elif edge:
        to = to_edge(image, edge)
    image = image.resize(to, config.get("resample", resample))
pixels = levels(image)
if crops:
    pixels = middle(pixels, *crop_size)
values = pixels.astype(numpy.float64)
if config.get("do_rescale", True):
    values = values * config.get("rescale_factor", 1 / 255)
    if config.get("rescale_offset"):
        values = values - 1
if colours and config.get("do_normalize", True):
    values = (values - config.get("image_mean", colours[0])) / config.get("image_std", colours[1])
if kind == "EfficientNet" and config.get("include_top", True):
    values = values / config.get("image_std", colours[1])
if kind == "MobileViT" and config.get("do_flip_channel_order", True):
    values = values[:, :, ::-1]
planes = values.transpose(2, 0, 1).astype(numpy.float32)
sys.stdout.buffer.write(numpy.ascontiguousarray(planes).tobytes())
