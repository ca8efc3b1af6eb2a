"""How fast torchvision's transforms and PyTorch's DataLoader load a folder of images: the same work
and last line as `cargo run --release --example loading`.

    python benches/pytorch/loader.py --make 2000 /tmp/jpegs    # writes JPEGs to load, of --size 224x224
    python benches/pytorch/loader.py /tmp/jpegs --workers 2

Needs torch, torchvision and Pillow.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", type=int, default=0, help="write this many JPEGs first")
    parser.add_argument("--size", default="224x224", help="width and height of these")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def make(folder, count, size):
    """Smooth noise, which compresses about as well as photographs do."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0)
    width, height = size
    for index in range(count):
        coarse = Image.fromarray(noise.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(size, Image.BICUBIC), dtype=np.int16)
        image = smooth + noise.integers(-12, 13, (height, width, 3), dtype=np.int16)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05}.jpg", quality=90)


class Folder(torch.utils.data.Dataset):
    def __init__(self, folder, size):
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(size, scale=(0.2, 1.0), interpolation=InterpolationMode.BICUBIC),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.25] * 3),
            ]
        )

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def main():
    args = arguments()
    if args.make:
        make(args.folder, args.make, tuple(map(int, args.size.split("x"))))
        return
    loader = torch.utils.data.DataLoader(
        Folder(args.folder, args.image_size),
        args.batch_size,
        shuffle=True,
        num_workers=args.workers,
        drop_last=True,
    )
    start = time.perf_counter()
    images = sum(batch.shape[0] for batch in loader)
    seconds = time.perf_counter() - start
    print(json.dumps({"images": images, "seconds": seconds, "images_per_s": images / seconds}))


if __name__ == "__main__":
    main()
