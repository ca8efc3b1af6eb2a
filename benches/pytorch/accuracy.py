"""The same MAE in PyTorch: does it learn the same? Pre-trains as a run of burn-mim did, and probes.

    pip install torch torchvision transformers scikit-learn numpy
    cargo run --release --example mae_cifar10 -- --data idx:DIR --image-size 28 --epochs 3 --out runs/fashion
    cargo run --release --example evaluate -- --checkpoint runs/fashion --data idx:DIR --protocol linear
    python benches/pytorch/accuracy.py --run runs/fashion --data DIR --seeds 3

DIR holds the files of Fashion-MNIST or MNIST. Model, recipe, batch size and statistics are read from
the run's config.json and metrics.json; order, crops and masks are drawn anew, from the same
distributions. Three models are trained: `torch` (accuracy_mae.py), `transformers` (a
ViTMAEForPreTraining from scratch, as it comes), and none (`random`).

One line of JSON a model and seed: accuracies in percent of scikit-learn's logistic regression on
standardised features (C = 1) and of its 20 nearest neighbours, on the test images.
"""

import argparse
import gzip
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from accuracy_mae import Mae, learning_rate, parameter_groups


def read_idx(folder: Path, name: str) -> np.ndarray:
    path = folder / name
    data = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


class Images:
    """Normalised images of one split."""

    def __init__(self, folder: Path, split: str, statistics: dict) -> None:
        pixels = read_idx(folder, f"{split}-images-idx3-ubyte")
        self.pixels = torch.from_numpy(pixels.copy())[:, None]
        self.labels = read_idx(folder, f"{split}-labels-idx1-ubyte")
        self.mean, self.std = statistics["mean"][0], statistics["std"][0]

    def normalized(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 255 - self.mean) / self.std


class FromScratch(nn.Module):
    """transformers' ViTMAE of the same sizes, with the interface of ours."""

    def __init__(self, task: dict) -> None:
        from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel

        super().__init__()
        encoder, decoder = task["encoder"], task["decoder"]
        config = ViTMAEConfig(
            image_size=encoder["image"]["height"],
            num_channels=encoder["image"]["channels"],
            patch_size=encoder["patch"],
            hidden_size=encoder["width"],
            num_hidden_layers=encoder["depth"],
            num_attention_heads=encoder["heads"],
            intermediate_size=round(encoder["width"] * encoder["mlp_ratio"]),
            decoder_hidden_size=decoder["width"],
            decoder_num_hidden_layers=decoder["depth"],
            decoder_num_attention_heads=decoder["heads"],
            decoder_intermediate_size=round(decoder["width"] * decoder["mlp_ratio"]),
            mask_ratio=task["mask_ratio"],
            norm_pix_loss=task["normalized"],
        )
        self.model = ViTMAEForPreTraining(config)
        self.whole = ViTMAEModel(config.__class__(**(config.to_dict() | {"mask_ratio": 0.0})))

    def loss(self, images: Tensor) -> Tensor:
        return self.model(images).loss

    def represent(self, images: Tensor) -> Tensor:
        self.whole.load_state_dict(self.model.vit.state_dict())
        return self.whole(images).last_hidden_state[:, 1:].mean(1)


def pretrain(model: nn.Module, images: Images, recipe: dict, batch_size: int, epochs: int) -> float:
    """Trains in place; returns the last epoch's mean loss."""
    size = images.pixels.shape[-2:]
    crop = v2.RandomResizedCrop(size, (0.2, 1.0), interpolation=InterpolationMode.BICUBIC)
    augment = v2.Compose([crop, v2.RandomHorizontalFlip()])
    groups = parameter_groups(model, recipe["weight_decay"])
    optimizer = torch.optim.AdamW(groups, betas=tuple(recipe["betas"]), eps=recipe["epsilon"])
    steps = len(images.pixels) // batch_size
    recipe = recipe | {"epochs": epochs}
    for epoch in range(epochs):
        order, total = torch.randperm(len(images.pixels)), 0.0
        for step in range(steps):
            batch = images.pixels[order[step * batch_size : (step + 1) * batch_size]]
            batch = images.normalized(torch.stack([augment(image) for image in batch]))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, batch_size, epoch + step / steps)
            loss = model.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
    return total / steps


@torch.no_grad()
def features(model: nn.Module, images: Images) -> np.ndarray:
    batches = images.pixels.split(256)
    return torch.cat([model.represent(images.normalized(batch)) for batch in batches]).numpy()


def probe(model: nn.Module, train: Images, test: Images) -> dict:
    x, y = features(model.eval(), train), features(model, test)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    neighbours = KNeighborsClassifier(
        20, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07)
    )
    score = lambda c: round(100 * c.fit(x, train.labels).score(y, test.labels), 2)  # noqa: E731
    return {"linear": score(linear), "knn": score(neighbours)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a run of burn-mim's mae_cifar10")
    parser.add_argument("--data", type=Path, required=True, help="a folder of IDX files")
    parser.add_argument("--models", default="random,torch,transformers")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="default: the run's")
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    metrics = json.loads((arguments.run / "metrics.json").read_text())
    recipe, batch_size = metrics["recipe"], metrics["batch_size"]
    train = Images(arguments.data, "train", config["statistics"])
    test = Images(arguments.data, "t10k", config["statistics"])
    for name in arguments.models.split(","):
        for seed in range(arguments.seeds):
            torch.manual_seed(seed)
            started = time.monotonic()
            model = FromScratch(config["task"]) if name == "transformers" else Mae(config["task"])
            result = {"model": name, "seed": seed}
            if name != "random":
                epochs = arguments.epochs or recipe["epochs"]
                loss = pretrain(model, train, recipe, batch_size, epochs)
                result |= {"epochs": epochs, "loss": round(loss, 4)}
            result |= probe(model, train, test)
            print(json.dumps(result | {"seconds": round(time.monotonic() - started)}), flush=True)


if __name__ == "__main__":
    main()
