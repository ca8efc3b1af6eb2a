"""Writes rand_augment.safetensors: what timm's RandAugment operations make of two images.

    pip install -r tests/parity/requirements.txt
    python tests/parity/rand_augment.py
"""

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from timm.data import auto_augment as timm

FILL = (124, 116, 104)
POINTS = {
    "auto_contrast": (timm.auto_contrast,),
    "equalize": (timm.equalize,),
    "invert": (timm.invert,),
    "posterize_1": (timm.posterize, 1),
    "solarize": (timm.solarize, 26),
    "solarize_add": (timm.solarize_add, 99),
    "color": (timm.color, 1.81),
    "contrast": (timm.contrast, 0.19),
    "brightness": (timm.brightness, 1.81),
    "sharpness_less": (timm.sharpness, 0.19),
    "sharpness_more": (timm.sharpness, 1.81),
}
MOVES = {
    "rotate": (timm.rotate, 27.0),
    "shear_x": (timm.shear_x, 0.27),
    "shear_y": (timm.shear_y, -0.27),
    "translate_x": (timm.translate_x_rel, 0.405),
    "translate_y": (timm.translate_y_rel, -0.405),
}
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def planar(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def main():
    y, x = np.mgrid[0:24, 0:31]
    rng, tensors = np.random.default_rng(0), {}
    waves = [np.sin(x * a + y * b) * 90 + 120 for a, b in [(0.3, 0.2), (-0.2, 0.4), (0.5, -0.1)]]
    pixels = (np.stack(waves, 2) + rng.uniform(-25, 25, (24, 31, 3))).astype(np.uint8)
    for mode, image in [("rgb", Image.fromarray(pixels)), ("gray", Image.fromarray(pixels[..., 0]))]:
        fill = FILL if mode == "rgb" else FILL[0]
        tensors[f"{mode}.image"] = planar(image)
        for name, (function, *args) in POINTS.items():
            tensors[f"{mode}.{name}"] = planar(function(image, *args))
        for name, (function, arg) in MOVES.items():
            for by, filter in FILTERS.items():
                moved = function(image, arg, fillcolor=fill, resample=filter)
                tensors[f"{mode}.{name}_{by}"] = planar(moved)
    save_file(tensors, Path(__file__).parent / "rand_augment.safetensors")


main()
