"""Read-outs by scikit-learn and PyTorch of a run's own features: are they as accurate as burn-mim's?

    pip install torch scikit-learn numpy safetensors
    burn-mim evaluate --checkpoint runs/mae --data shapes --protocol knn
    burn-mim evaluate --checkpoint runs/mae --data shapes --protocol linear
    burn-mim evaluate --checkpoint runs/mae --data shapes --protocol attentive --seeds 3
    burn-mim embed --checkpoint runs/mae --data shapes --split train --keep cells --out train
    burn-mim embed --checkpoint runs/mae --data shapes --split test --keep cells --out test
    python benches/pytorch/accuracy_readouts.py train test

Nearest neighbors and logistic regression are scikit-learn's, of the mean over the cells. The attentive
probes are those of tests/parity/attentive.py, with the numbers of `AttentiveProbe` but other weights
to begin with and another order: the learning rate chosen on a fifth of the training images, AdamW,
batches of 128. One line of JSON a read-out: the accuracy on the test images in percent, of each seed.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional

sys.path.append(str(Path(__file__).parents[2] / "tests/parity"))
from attentive import Efficient, OneQuery  # noqa: E402

SHOWN, BATCH, RATES, DECAY = 1_200_000, 128, (1e-2, 3e-2), 0.05
NEIGHBORS, TEMPERATURE = 20, 0.07


def trained(make, rate: float, epochs: int, x: torch.Tensor, y: torch.Tensor):
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
    for epoch in range(epochs):
        for step, places in enumerate(torch.randperm(len(x)).tensor_split(steps)):
            done = (epoch * steps + step) / (epochs * steps)
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


def handful(x: np.ndarray, y: np.ndarray, test: np.ndarray, test_y: np.ndarray) -> None:
    """Nearest neighbors, of vectors as they are and standardized, and logistic regression."""
    scaler = StandardScaler().fit(x)
    vote = lambda distance: np.exp((1 - distance) / TEMPERATURE)
    knn = KNeighborsClassifier(NEIGHBORS, weights=vote, metric="cosine", algorithm="brute")
    logistic = LogisticRegression(C=1.0, max_iter=1000)
    for name, model, scaled in [
        ("20 neighbors", knn, False),
        ("20 neighbors, standardized", knn, True),
        ("logistic regression", logistic, True),
    ]:
        train, other = (scaler.transform(x), scaler.transform(test)) if scaled else (x, test)
        found = 100 * model.fit(train, y).score(other, test_y)
        print(json.dumps({"read-out": name, "top1": [found], "mean": found}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="of the attentive probes")
    args = parser.parse_args()
    load = lambda folder, name: torch.from_numpy(np.load(folder / f"{name}.npy"))
    x, y = load(args.train, "features"), load(args.train, "labels").long()
    test, test_y = load(args.test, "features"), load(args.test, "labels").long()
    handful(x.mean(1).double().numpy(), y.numpy(), test.mean(1).double().numpy(), test_y.numpy())
    epochs = min(max(SHOWN // len(x), 20), 60)
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
            judge = lambda rate: accuracy(trained(make, rate, epochs, x[rest], y[rest]), x[held], y[held])
            rates.append(RATES[int(np.argmax([judge(rate) for rate in RATES]))])
            found.append(accuracy(trained(make, rates[-1], epochs, x, y), test, test_y))
        if found:
            print(json.dumps({"read-out": name, "top1": found, "mean": np.mean(found), "rates": rates}))


if __name__ == "__main__":
    main()
