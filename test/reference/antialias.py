"""Resizing without antialiasing, by PyTorch, torchvision and OpenCV: python3 antialias.py FOLDER > rows of JSON.

FOLDER has landscape.jpg and portrait.jpg. Each row is one picture at one size by one function: levels of 0 to 255 at
some places, which are channel, row, column, one after another.
"""
import json
import sys

import cv2
import numpy
import torch
import torchvision
from PIL import Image

BY_TORCH = {"bilinear": "bilinear", "bicubic": "bicubic"}
BY_VISION = {
    "bilinear": torchvision.transforms.InterpolationMode.BILINEAR,
    "bicubic": torchvision.transforms.InterpolationMode.BICUBIC,
}
BY_OPENCV = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
# Smaller by much and a little, larger, and one side of each.
SIZES = [(24, 31), (90, 77), (301, 410), (40, 500), (224, 224)]


def torch_resize(image, size, resample):
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    made = torch.nn.functional.interpolate(planes, size=size, mode=BY_TORCH[resample], align_corners=False)
    return made[0].clamp(0, 255).numpy()


def vision_resize(image, size, resample):
    planes = torch.from_numpy(image).permute(2, 0, 1)
    return torchvision.transforms.functional.resize(
        planes, list(size), BY_VISION[resample], antialias=False
    ).numpy()


def opencv_resize(image, size, resample):
    return cv2.resize(image, size[::-1], interpolation=BY_OPENCV[resample]).transpose(2, 0, 1)


rows = []
random = numpy.random.default_rng(5)
for picture in ["landscape", "portrait"]:
    image = numpy.array(Image.open(f"{sys.argv[1]}/{picture}.jpg").convert("RGB"))
    for height, width in SIZES:
        for resample in ["bilinear", "bicubic"]:
            # Corners and edges, where pixels are repeated, and places within.
            places = [(0, 0, 0), (1, height - 1, width - 1), (2, 0, width - 1), (0, height - 1, 0)]
            places += [(1, 0, int(random.integers(width))), (2, int(random.integers(height)), width - 1)]
            places += [tuple(int(random.integers(n)) for n in (3, height, width)) for _ in range(14)]
            for by in [torch_resize, vision_resize, opencv_resize]:
                planes = by(image, (height, width), resample)
                rows.append({
                    "by": by.__name__.split("_")[0],
                    "picture": picture,
                    "resample": resample,
                    "height": height,
                    "width": width,
                    "places": [number for place in places for number in place],
                    "levels": [round(float(planes[place]), 2) for place in places],
                })
print(json.dumps(rows))
