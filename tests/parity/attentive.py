"""Writes attentive.safetensors: attentive probes trained by PyTorch on the cells of small images.

    pip install -r tests/parity/requirements.txt
    python tests/parity/attentive.py

The images are scikit-learn's handwritten digits, 900 to train and 897 to test. Their 16 cells have 12
features each: the 4 pixels and the row and the column as one-hot numbers. Both probes are written as
in the papers, with keys and values of every cell: efficient probing (arXiv 2506.10178 §3) with 4
queries, and 4 heads that share one query (arXiv 2401.08541 §3.3). The file holds their weights before
training, the order of the images in every epoch, and the classes that the trained ones predict for
the test images, with the log-probabilities of the first 100.
"""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

PATH = Path(__file__).with_name("attentive.safetensors")
TRAIN, WIDTH, CLASSES = 900, 12, 10
EPOCHS, BATCH, RATE, DECAY = 15, 90, 1e-2, 0.05


def cells(images: np.ndarray) -> torch.Tensor:
    """`[images, 16, 12]`: pixels of 2 × 2, row one-hot, column one-hot."""
    patches = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
    rows, columns = np.repeat(np.eye(4), 4, 0), np.tile(np.eye(4), (4, 1))
    places = np.broadcast_to(np.concatenate([rows, columns], 1), (len(images), 16, 8))
    return torch.tensor(np.concatenate([patches, places], 2), dtype=torch.float32)


class Efficient(nn.Module):
    def __init__(self, queries: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(self.query @ x.transpose(1, 2) / math.sqrt(x.shape[2]), -1)
        values = self.value(x).unflatten(2, (len(self.query), -1))
        return torch.einsum("bqn,bnqd->bqd", weights, values).flatten(1)


class OneQuery(nn.Module):
    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(1, width) * 0.02)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        split = lambda tokens: tokens.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
        query = split(self.query).expand(len(x), -1, -1, -1)
        pooled = functional.scaled_dot_product_attention(
            query, split(self.key(x)), split(self.value(x))
        )
        return pooled.transpose(1, 2).flatten(1)


def trained(pooling: nn.Module, head: nn.Linear, order: np.ndarray, train, labels, test):
    """The log-probabilities of the test images' classes."""
    mean, std = train.mean((0, 1)), train.std((0, 1), correction=0)
    train, test = (train - mean) / std, (test - mean) / std
    matrices = [layer.weight for layer in pooling.children()] + [head.weight]
    rest = [p for name, p in pooling.named_parameters() if name == "query"] + [head.bias]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    steps = EPOCHS * (TRAIN // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for batch in torch.tensor(order.astype(np.int64)).reshape(-1, BATCH):
        pooled = pooling(train[batch])
        normal = functional.batch_norm(pooled, None, None, training=True, eps=1e-6)
        loss = functional.cross_entropy(head(normal), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        pooled = pooling(train)
        normal = (pooling(test) - pooled.mean(0)) / pooled.std(0, correction=0)
        return head(normal).log_softmax(1)


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    x, y = cells(images), torch.tensor(labels)
    generator = np.random.default_rng(0)
    order = np.stack([generator.permutation(TRAIN) for _ in range(EPOCHS)]).astype(np.uint16)
    tensors = {"images": images.astype(np.uint8), "labels": labels.astype(np.uint8), "order": order}
    for name, make in [("many", lambda: Efficient(4, WIDTH)), ("one", lambda: OneQuery(4, WIDTH))]:
        torch.manual_seed(0)
        pooling, head = make(), nn.Linear(WIDTH, CLASSES)
        nn.init.zeros_(head.bias)
        start = {**pooling.state_dict(), "head.weight": head.weight}
        for key, value in start.items():
            tensors[f"{name}.{key}"] = value.detach().numpy().copy()
        scores = trained(pooling, head, order, x[:TRAIN], y[:TRAIN], x[TRAIN:])
        classes = scores.argmax(1)
        tensors[f"{name}.scores"] = scores[:100].numpy().copy()
        tensors[f"{name}.classes"] = classes.numpy().astype(np.uint8)
        print(f"{name}: {100 * (classes == y[TRAIN:]).double().mean():.2f}")
    save_file(tensors, PATH)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
