"""The same MAE in PyTorch: does it learn the same? Pre-trains as a run of burn-mim did, and probes.

    pip install torch transformers scikit-learn numpy safetensors
    cargo run --release --example mae_cifar10 -- --preset mae_pixels_small_images --data idx:DIR --image-size 28 --epochs 3 --out runs/fashion
    cargo run --release --example evaluate -- --checkpoint runs/fashion --data idx:DIR --protocol linear
    cargo run --release --example batches -- --run runs/fashion --epochs 3 --out batches
    python benches/pytorch/accuracy.py --run runs/fashion --batches batches --data DIR

DIR holds the files of Fashion-MNIST or MNIST. Model, recipe, batch size and statistics are read from
the run's config.json and metrics.json, and what it was trained on from what `batches` wrote: the same
images in the same order, with the same crops and masks. Three models are trained: `torch`
(accuracy_mae.py), from the run's own first weights; `transformers` (a ViTMAEForPreTraining from
scratch, as it comes); and none (`random`).

One line of JSON a model: losses, and accuracies in percent of scikit-learn's logistic regression on
standardized features (C = 1) and of its 20 nearest neighbors, on the test images.
"""

import argparse
import gzip
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from accuracy_mae import Mae, learning_rate, parameter_groups


def read_idx(folder: Path, name: str) -> np.ndarray:
    path = folder / name
    data = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


class Images:
    """Normalized images of one split."""

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

    def loss(self, images: Tensor, hidden: Tensor) -> Tensor:
        return self.model(images, noise=hidden.float()).loss  # the smallest noise stays visible

    def represent(self, images: Tensor) -> Tensor:
        self.whole.load_state_dict(self.model.vit.state_dict())
        return self.whole(images).last_hidden_state[:, 1:].mean(1)


def pretrain(model: nn.Module, batches: Path, recipe: dict, batch_size: int) -> list[float]:
    """Trains in place; returns the mean loss of each epoch."""
    groups = parameter_groups(model, recipe["weight_decay"])
    optimizer = torch.optim.AdamW(groups, betas=tuple(recipe["betas"]), eps=recipe["epsilon"])
    losses = []
    for epoch in range(recipe["epochs"]):
        data, total = load_file(batches / f"epoch-{epoch}.safetensors"), 0.0
        pairs = zip(data["images"].split(batch_size), data["hidden"].split(batch_size))
        steps = len(data["images"]) // batch_size
        for step, (images, hidden) in enumerate(pairs):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, batch_size, epoch + step / steps)
            loss = model.loss(images, hidden)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(round(total / steps, 4))
    return losses


@torch.no_grad()
def features(model: nn.Module, images: Images) -> np.ndarray:
    batches = images.pixels.split(256)
    return torch.cat([model.represent(images.normalized(batch)) for batch in batches]).numpy()


def probe(model: nn.Module, train: Images, test: Images) -> dict:
    x, y = features(model.eval(), train), features(model, test)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    neighbors = KNeighborsClassifier(
        20, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07)
    )
    score = lambda c: round(100 * c.fit(x, train.labels).score(y, test.labels), 2)  # noqa: E731
    return {"linear": score(linear), "knn": score(neighbors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a run of burn-mim's mae_cifar10")
    parser.add_argument("--batches", type=Path, required=True, help="what the example `batches` wrote")
    parser.add_argument("--data", type=Path, required=True, help="a folder of IDX files")
    parser.add_argument("--models", default="random,torch,transformers")
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    metrics = json.loads((arguments.run / "metrics.json").read_text())
    recipe, batch_size = metrics["recipe"], metrics["batch_size"]
    train = Images(arguments.data, "train", config["statistics"])
    test = Images(arguments.data, "t10k", config["statistics"])
    for name in arguments.models.split(","):
        torch.manual_seed(config["seed"])
        started = time.monotonic()
        model = FromScratch(config["task"]) if name == "transformers" else Mae(config["task"])
        result = {"model": name, "seed": config["seed"]}
        if name == "torch":
            model.load(arguments.batches / "start" / "model.safetensors")
        if name != "random":
            result["losses"] = pretrain(model, arguments.batches, recipe, batch_size)
        result |= probe(model, train, test)
        print(json.dumps(result | {"seconds": round(time.monotonic() - started)}), flush=True)


if __name__ == "__main__":
    main()
