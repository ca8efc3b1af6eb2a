"""Writes milan.safetensors: three steps of MILAN with a frozen teacher, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/milan.py

Written from the paper (MILAN, arXiv 2208.06049 §3) on the ViTs of eva.py. In the case `semantic` the
visible patches are those of the largest sums of noise and logarithm of the attention that the teacher's
class token pays to them, and features are compared by the cosine of their angle; in `given` masks are
given, and the teacher's features are normalized over their numbers and compared by squared difference.
Names and layouts of the weights are those of burn-mim: matrices are `[inputs, outputs]`. Every step is
one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from eva import CELLS, MEAN, OWN_MEAN, OWN_STD, STD, TEACHER, encode, fresh_teacher, known, steps
from refine import BATCH, BLOCKS, COLS, HEADS, PATCH, ROWS, WIDTH, fresh_encoder, linear, norm
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("milan.safetensors")
VISIBLE, INNER, DEPTH = 2, 8, 2


def fresh_decoder() -> dict[str, Tensor]:
    p = linear("decoder.embed", WIDTH, INNER) | linear("decoder.projection", INNER, TEACHER)
    p["decoder.mask_token"] = torch.randn(1, INNER)
    for index in range(DEPTH):
        block = f"decoder.blocks.{index}"
        p |= norm(f"{block}.norm1", INNER) | norm(f"{block}.norm2", INNER)
        p |= linear(f"{block}.attention.query", INNER, INNER)
        p |= linear(f"{block}.attention.key_value", INNER, 2 * INNER)
        p |= linear(f"{block}.attention.out", INNER, INNER)
        p |= linear(f"{block}.mlp.fc1", INNER, 4 * INNER) | linear(f"{block}.mlp.fc2", 4 * INNER, INNER)
    return p | norm("decoder.norm", INNER)


def decode(p: dict[str, Tensor], tokens: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    """Predictions of all cells, in their order; `tokens` has the class token first."""
    apply = lambda layer, x: x @ p[f"decoder.{layer}.weight"] + p[f"decoder.{layer}.bias"]
    normed = lambda layer, x: F.layer_norm(
        x, (INNER,), p[f"decoder.{layer}.gamma"], p[f"decoder.{layer}.beta"], 1e-6
    )
    table = p["decoder.positions.table"]
    first = torch.zeros(len(tokens), 1, dtype=torch.long)
    fixed = apply("embed", tokens) + table[torch.cat([first, visible + 1], 1)]
    asked = p["decoder.mask_token"] + table[hidden + 1]
    for index in range(DEPTH):
        block = f"blocks.{index}"
        looking = normed(f"{block}.norm1", asked)
        looked_at = torch.cat([fixed, looking], 1)
        split = lambda x: x.unflatten(2, (HEADS, -1)).transpose(1, 2)
        key, value = apply(f"{block}.attention.key_value", looked_at).chunk(2, 2)
        query = apply(f"{block}.attention.query", looking)
        mixed = F.scaled_dot_product_attention(split(query), split(key), split(value))
        asked = asked + apply(f"{block}.attention.out", mixed.transpose(1, 2).flatten(2))
        inner = F.gelu(apply(f"{block}.mlp.fc1", normed(f"{block}.norm2", asked)))
        asked = asked + apply(f"{block}.mlp.fc2", inner)
    cells = apply("projection", normed("norm", torch.cat([fixed[:, 1:], asked], 1)))
    order = torch.cat([visible, hidden], 1).argsort(1)
    return cells.take_along_dim(order[:, :, None], 1)


def milan(semantic: bool):
    def step(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        images, noise = torch.randn(BATCH, 1, ROWS * PATCH, COLS * PATCH), torch.randn(BATCH, CELLS)
        statistics = (OWN_MEAN, OWN_STD) if semantic else (MEAN, STD)
        features, attention = known(p, images, PATCH, statistics)
        scores = noise + attention.mean(1)[:, 0, 1:].log() if semantic else noise
        order = scores.argsort(1, descending=True)
        visible, hidden = order[:, :VISIBLE].sort(1).values, order[:, VISIBLE:].sort(1).values
        keep = lambda x: x.take_along_dim(visible[:, :, None], 1)
        tokens, _ = encode(p, "encoder.body", images, PATCH, HEADS, BLOCKS, (lambda x: x, keep))
        predicted, target = decode(p, tokens, visible, hidden), features[:, 1:]
        seen = {"images": images}
        if semantic:
            # Whose patches are visible is known of the noise and the teacher alone.
            loss = (1 - F.cosine_similarity(predicted, target, dim=-1)).mean()
            return loss, seen | {"noise": noise}
        loss = F.mse_loss(predicted, F.layer_norm(target, (TEACHER,)))
        return loss, seen | {"hidden": torch.zeros(BATCH, CELLS).scatter(1, hidden, 1.0).to(torch.uint8)}

    return step


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    out = {}
    for name, semantic in [("semantic", True), ("given", False)]:
        student = fresh_encoder("encoder.body") | fresh_decoder()
        fixed = fresh_teacher(PATCH) | {"decoder.positions.table": torch.randn(1 + CELLS, INNER)}
        case = steps(student, fixed, milan(semantic))
        out |= {f"{name}.{key}": value for key, value in case.items()}
    save_file(out, PATH)


if __name__ == "__main__":
    main()
