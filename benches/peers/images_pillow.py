"""Pillow and imagehash: decode each picture, hash it, measure it, make a thumbnail of it."""

import hashlib
import io
import json
import os
import sys

import imagehash
from PIL import Image, ImageFilter, ImageStat

folder = json.loads(sys.argv[1])["folder"]
for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), "rb") as file:
        content = file.read()
    hashlib.blake2b(content).hexdigest()
    image = Image.open(io.BytesIO(content))
    image.getexif()
    rgb = image.convert("RGB")
    imagehash.phash(rgb)
    grey = rgb.convert("L")
    ImageStat.Stat(grey).mean
    ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES)).var
    ImageStat.Stat(rgb).mean
    rgb.thumbnail((256, 256))
    rgb.save(io.BytesIO(), "JPEG", quality=80)
