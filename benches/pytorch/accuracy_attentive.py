"""Attentive probes in PyTorch on the cells of a run's encoder: are they as accurate as burn-mim's?

    pip install torch scikit-learn numpy safetensors
    burn-mim evaluate --checkpoint runs/mae --data shapes --protocol attentive
    burn-mim embed --checkpoint runs/mae --data shapes --split train --keep cells --out train
    burn-mim embed --checkpoint runs/mae --data shapes --split test --keep cells --out test
    python benches/pytorch/accuracy_attentive.py train test

Both probes are those of tests/parity/attentive.py, with the numbers of `AttentiveProbe`: the learning
rate chosen on a fifth of the training images, 20 epochs of AdamW, batches of 128. One line of JSON a
probe: the accuracy on the test images in percent, of each seed.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

sys.path.append(str(Path(__file__).parents[2] / "tests/parity"))
from attentive import Efficient, OneQuery  # noqa: E402

EPOCHS, BATCH, RATES, DECAY = 20, 128, (1e-3, 3e-3, 1e-2), 0.05


def trained(make, rate: float, x: torch.Tensor, y: torch.Tensor):
    """A function from cells to scores."""
    width, classes = x.shape[2], int(y.max()) + 1
    pooling, head = make(width), nn.Linear(width, classes)
    nn.init.trunc_normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    matrices = [layer.weight for layer in pooling.children()] + [head.weight]
    groups = [
        {"params": matrices, "weight_decay": DECAY},
        {"params": [pooling.query, head.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    batch = min(BATCH, max(len(x) // 10, 16), len(x))
    steps = math.ceil(len(x) / batch)
    for epoch in range(EPOCHS):
        for step, places in enumerate(torch.randperm(len(x)).tensor_split(steps)):
            done = (epoch * steps + step) / (EPOCHS * steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))
            normal = functional.batch_norm(
                pooling(x[places]), None, None, training=True, eps=1e-6
            )
            loss = functional.cross_entropy(head(normal), y[places])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    pool = lambda cells: torch.cat([pooling(part) for part in cells.split(512)])
    with torch.no_grad():
        pooled = pool(x)
        mean, std = pooled.mean(0), pooled.std(0, correction=0)

    @torch.no_grad()
    def scores(cells: torch.Tensor) -> torch.Tensor:
        return head((pool(cells) - mean) / std)

    return scores


def accuracy(scores, x: torch.Tensor, y: torch.Tensor) -> float:
    return 100 * (scores(x).argmax(1) == y).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    load = lambda folder, name: torch.from_numpy(np.load(folder / f"{name}.npy"))
    x, y = load(args.train, "features"), load(args.train, "labels").long()
    test, test_y = load(args.test, "features"), load(args.test, "labels").long()
    mean, std = x.mean((0, 1)), x.std((0, 1), correction=0)
    x, test = (x - mean) / std, (test - mean) / std
    for name, make in [
        ("8 queries", lambda width: Efficient(8, width)),
        ("1 query, 4 heads", lambda width: OneQuery(4, width)),
    ]:
        found, rates = [], []
        for seed in range(args.seeds):
            torch.manual_seed(seed)
            rest, held = train_test_split(
                np.arange(len(x)), test_size=0.2, stratify=y, random_state=seed
            )
            judged = [accuracy(trained(make, r, x[rest], y[rest]), x[held], y[held]) for r in RATES]
            rates.append(RATES[int(np.argmax(judged))])
            found.append(accuracy(trained(make, rates[-1], x, y), test, test_y))
        print(json.dumps({"probe": name, "top1": found, "mean": np.mean(found), "rates": rates}))


if __name__ == "__main__":
    main()
