"""PIL's planes of a JPEG file: python3 pil.py FILTER RESIZED_W RESIZED_H LEFT TOP W H < FILE > float32 [3, H, W].

Upright (EXIF), resized, cropped; values 0 to 255.
"""
import io
import sys

import numpy
from PIL import Image, ImageOps

filters = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
name, *numbers = sys.argv[1:]
resized_width, resized_height, left, top, width, height = map(int, numbers)
image = ImageOps.exif_transpose(Image.open(io.BytesIO(sys.stdin.buffer.read()))).convert("RGB")
image = image.resize((resized_width, resized_height), filters[name])
image = image.crop((left, top, left + width, top + height))
pixels = numpy.asarray(image, dtype=numpy.float32).transpose(2, 0, 1)
sys.stdout.buffer.write(numpy.ascontiguousarray(pixels).tobytes())
