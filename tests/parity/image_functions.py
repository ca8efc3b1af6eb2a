"""Writes image_functions.safetensors: what scikit-image makes of a few images.

    pip install scikit-image==0.26.0 -r tests/parity/requirements.txt
    python tests/parity/image_functions.py

`hog.*` are histograms of gradients, [channels, rows, cols, bins]: scikit-image's, and MaskFeat's
(arXiv 2112.09133, section 3), restated here pixel by pixel. MaskFeat's model asks facebookresearch/
SlowFast's `HOGLayerC` for 9 bins and cells of 8 pixels and leaves its `gaussian_window` at 0: all
pixels weigh the same. open-mmlab/mmpretrain's `HOGGenerator` has a window of 16 pixels instead.
`quality.*` are two images and what they are to each other.
"""

from math import atan2, exp, floor, hypot, pi
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from skimage.feature import hog
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

HERE = Path(__file__).parent


def waves(channels: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth waves of any direction with some noise, 0 to 1, that float32 holds exactly."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        (a, b), phase = rng.uniform(-0.6, 0.6, 2), rng.uniform(0, 6)
        planes.append(0.5 + 0.4 * np.sin(a * x + b * y + phase) + rng.normal(0, 0.04, x.shape))
    return np.clip(planes, 0, 1).astype(np.float32).astype(np.float64)


def weight(row: int, col: int, window: int) -> float:
    """The Gaussian of a pixel's place in its window; 1 without a window."""
    if window == 0:
        return 1.0
    middle, deviation = (window - 1) / 2, window / 2
    down, right = row % window - middle, col % window - middle
    return exp(-(down**2 + right**2) / (2 * deviation**2))


def maskfeat_hog(plane: np.ndarray, cell: int, window: int) -> np.ndarray:
    """9 bins: Sobel, reflected border, angle of (x, y) from the y axis, L2."""
    height, width = plane.shape
    padded = np.pad(plane, 1, mode="reflect")
    cells = np.zeros((height // cell, width // cell, 9))
    for row in range(height):
        for col in range(width):
            patch = padded[row : row + 3, col : col + 3]
            along_x = (patch[:, 0] - patch[:, 2]) @ [1, 2, 1]
            along_y = (patch[0] - patch[2]) @ [1, 2, 1]
            phase = floor(atan2(along_x, along_y) / pi * 9) % 9
            strength = weight(row, col, window) * hypot(along_x, along_y)
            cells[row // cell, col // cell, phase] += strength
    return cells / np.linalg.norm(cells, axis=2, keepdims=True)


def main():
    rng = np.random.default_rng(0)
    images = waves(2, 24, 40, rng)
    tensors = {"hog.images": images}
    for bins, cell in [(9, 8), (6, 4)]:
        settings = dict(orientations=bins, pixels_per_cell=(cell, cell), cells_per_block=(1, 1))
        settings |= dict(block_norm="L2", feature_vector=False)
        planes = [hog(plane, **settings)[:, :, 0, 0] for plane in images]
        tensors[f"hog.scikit_image_{bins}_bins_cell_{cell}"] = np.stack(planes)
    for name, window in [("", 0), ("_window_16", 16)]:
        planes = [maskfeat_hog(plane, 8, window) for plane in images]
        tensors[f"hog.maskfeat_cell_8{name}"] = np.stack(planes)

    reference = waves(3, 20, 26, rng)
    noisy = np.clip(reference + rng.normal(0, 0.1, reference.shape), 0, 1)
    noisy = noisy.astype(np.float32).astype(np.float64)
    ssim = structural_similarity(
        reference,
        noisy,
        data_range=1,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    psnr = peak_signal_noise_ratio(reference, noisy, data_range=1)
    tensors |= {"quality.reference": reference, "quality.noisy": noisy}
    tensors |= {"quality.psnr": np.array([psnr]), "quality.ssim": np.array([ssim])}
    tensors = {key: value.astype(np.float32) for key, value in tensors.items()}
    save_file(tensors, HERE / "image_functions.safetensors")


main()
