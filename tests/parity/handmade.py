"""Writes handmade.safetensors: scikit-image's `hog`, which baselines of evaluations are held to.

    pip install -r tests/parity/requirements.txt
    python tests/parity/handmade.py

`NAME.images` are images in [0, 1], [batch, channels, height, width]; `NAME.hog` their histograms by
cells of `int(NAME)` pixels: small images of three channels, and one of so many pixels that its cells
are larger than 4.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from skimage.feature import hog

PATH = Path(__file__).with_name("handmade.safetensors")


def main() -> None:
    rng = np.random.default_rng(0)
    tensors = {}
    for cell, shape in [(4, (2, 3, 16, 24)), (5, (1, 1, 40, 40))]:
        images = rng.random(shape).astype(np.float32)
        # A flat part, where no direction counts, and an edge along an axis, whose derivative is 0.
        images[:, :, :8, :8] = 0.5
        images[:, :, 8:12, 12:] = 1.0
        blocks = [
            hog(np.moveaxis(image, 0, -1), 9, (cell, cell), (2, 2), channel_axis=-1)
            for image in images.astype(np.float64)
        ]
        tensors[f"{cell}.images"] = images
        tensors[f"{cell}.hog"] = np.stack(blocks).astype(np.float32)
    save_file(tensors, PATH)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
