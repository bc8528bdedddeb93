"""PIL's pixels of JPEG files, also of damaged ones: python3 pil-pixels.py RGB|L < FILES > PIXELS

Standard input: for each file its length (uint32) and its bytes. Standard output: for each file int32 height, width and
its bytes [C, height, width]; or int32 -1 where PIL gives no picture. All in the machine's order.
"""
import io
import struct
import sys

import numpy
from PIL import Image, ImageFile

ImageFile.LOAD_TRUNCATED_IMAGES = True
source, out = sys.stdin.buffer, sys.stdout.buffer
while length := source.read(4):
    data = source.read(struct.unpack("=I", length)[0])
    try:
        pixels = numpy.asarray(Image.open(io.BytesIO(data)).convert(sys.argv[1]))
    except Exception:
        out.write(struct.pack("=i", -1))
        continue
    pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    out.write(struct.pack("=ii", *pixels.shape[1:]) + numpy.ascontiguousarray(pixels).tobytes())
