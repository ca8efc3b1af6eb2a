"""Writes cae.safetensors: three steps of CAE on the tokens of a palette, in PyTorch.

    pip install -r tests/parity/requirements.txt
    python tests/parity/cae.py

Written from the paper (CAE, arXiv 2202.03026 §3) and the description of the official blocks, on the ViT
of refine.py. A token is the nearest of four grays to the mean of a cell of the view. Regressor and
decoder have two blocks each. There are two cases: in `plain` all of query, key and value have a bias; in
`scaled` the branches of regressor and decoder have a scale, and so have those of the encoder, and the key
has no bias. Names and layouts of the weights are those of burn-mim: matrices are `[inputs, outputs]`.
Every step is one of gradient descent with a rate of 0.01.
"""

from pathlib import Path

import torch
from eva import steps
from refine import BATCH, BLOCKS, COLS, HEADS, PATCH, ROWS, WIDTH, fresh_encoder, linear, norm, vector
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PATH = Path(__file__).with_name("cae.safetensors")
CELLS, HIDDEN, DEPTH, ALIGNMENT = ROWS * COLS, 3, 2, 1.5
GRAYS = torch.tensor([[0.1], [0.35], [0.6], [0.9]])
BODY, HEAD = "mim.encoder.body", "mim.head"


def variants(p: dict[str, Tensor], scaled: bool) -> dict[str, Tensor]:
    """Scales for the branches of blocks; without a bias of the key where there are such."""
    if not scaled:
        return p
    for key in [key for key in p if key.endswith("mlp.fc1.bias")]:
        block = key.removesuffix(".mlp.fc1.bias")
        p |= {f"{block}.scale{index}.gamma": vector(WIDTH, 0.7) for index in (1, 2)}
    for key in [key for key in p if key.endswith("attention.qkv.bias")]:
        block, bias = key.removesuffix(".qkv.bias"), p.pop(key)
        p |= {f"{block}.query_bias": bias[:WIDTH], f"{block}.value_bias": bias[2 * WIDTH :]}
    return {key: value for key, value in p.items() if not key.endswith(".key.bias")}


def fresh(scaled: bool) -> dict[str, Tensor]:
    p = fresh_encoder(BODY) | {f"{HEAD}.regressor.mask_token": torch.randn(1, WIDTH)}
    for index in range(DEPTH):
        block = f"{HEAD}.regressor.blocks.{index}"
        for part in ["query_norm", "key_norm", "value_norm", "norm"]:
            p |= norm(f"{block}.{part}", WIDTH)
        for part in ["query", "key", "value", "out"]:
            p |= linear(f"{block}.{part}", WIDTH, WIDTH)
        p |= linear(f"{block}.mlp.fc1", WIDTH, 4 * WIDTH) | linear(f"{block}.mlp.fc2", 4 * WIDTH, WIDTH)
        block = f"{HEAD}.decoder.blocks.{index}"
        p |= norm(f"{block}.norm1", WIDTH) | norm(f"{block}.norm2", WIDTH)
        p |= linear(f"{block}.attention.qkv", WIDTH, 3 * WIDTH)
        p |= linear(f"{block}.attention.out", WIDTH, WIDTH)
        p |= linear(f"{block}.mlp.fc1", WIDTH, 4 * WIDTH) | linear(f"{block}.mlp.fc2", 4 * WIDTH, WIDTH)
    p |= norm(f"{HEAD}.regressor.norm", WIDTH) | norm(f"{HEAD}.decoder.norm", WIDTH)
    return variants(p | linear(f"{HEAD}.projection", WIDTH, len(GRAYS)), scaled)


def apply(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ p[f"{name}.weight"] + p.get(f"{name}.bias", torch.zeros(()))


def normed(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, (WIDTH,), p[f"{name}.gamma"], p[f"{name}.beta"], 1e-6)


def scaled(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x * p.get(f"{name}.gamma", torch.ones(()))


def mlp(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return apply(p, f"{name}.mlp.fc2", F.gelu(apply(p, f"{name}.mlp.fc1", x)))


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    split = lambda x: x.unflatten(2, (HEADS, -1)).transpose(1, 2)
    return F.scaled_dot_product_attention(split(query), split(key), split(value)).transpose(1, 2).flatten(2)


def block(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    qkv = apply(p, f"{name}.attention.qkv", normed(p, f"{name}.norm1", x))
    if f"{name}.attention.query_bias" in p:
        bias = p[f"{name}.attention.query_bias"], torch.zeros(WIDTH), p[f"{name}.attention.value_bias"]
        qkv = qkv + torch.cat(bias)
    mixed = apply(p, f"{name}.attention.out", attention(*qkv.chunk(3, 2)))
    x = x + scaled(p, f"{name}.scale1", mixed)
    return x + scaled(p, f"{name}.scale2", mlp(p, name, normed(p, f"{name}.norm2", x)))


def encode(p: dict[str, Tensor], images: Tensor, seen: Tensor) -> Tensor:
    """The features of the cells that are seen, which the class token is computed with."""
    table = p[f"{BODY}.positions.table"]
    patches = apply(p, f"{BODY}.patch_embed", F.unfold(images, PATCH, stride=PATCH).mT) + table[1:]
    first = (p[f"{BODY}.class_token"] + table[:1]).expand(BATCH, 1, WIDTH)
    x = torch.cat([first, patches.take_along_dim(seen[:, :, None], 1)], 1)
    for index in range(BLOCKS):
        x = block(p, f"{BODY}.transformer.blocks.{index}", x)
    return normed(p, f"{BODY}.transformer.norm", x)[:, 1:]


def regress(p: dict[str, Tensor], visible: Tensor, own: Tensor, others: Tensor) -> Tensor:
    x = p[f"{HEAD}.regressor.mask_token"].expand(BATCH, HIDDEN, WIDTH)
    for index in range(DEPTH):
        name = f"{HEAD}.regressor.blocks.{index}"
        seen, places = torch.cat([visible, x], 1), torch.cat([others, own], 1)
        query = apply(p, f"{name}.query", normed(p, f"{name}.query_norm", x + own))
        key = apply(p, f"{name}.key", normed(p, f"{name}.key_norm", seen + places))
        value = apply(p, f"{name}.value", normed(p, f"{name}.value_norm", seen))
        x = x + scaled(p, f"{name}.scale1", apply(p, f"{name}.out", attention(query, key, value)))
        x = normed(p, f"{name}.norm", x)
        x = x + scaled(p, f"{name}.scale2", mlp(p, name, x))
    return normed(p, f"{HEAD}.regressor.norm", x)


def cae(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    images = torch.randn(BATCH, 1, ROWS * PATCH, COLS * PATCH)
    view = torch.rand(BATCH, 1, ROWS, COLS)
    order = torch.rand(BATCH, CELLS).argsort(1)
    hidden, visible = order[:, :HIDDEN].sort(1).values, order[:, HIDDEN:].sort(1).values
    table = p[f"{HEAD}.regressor.positions.table"]
    latents = regress(p, encode(p, images, visible), table[hidden], table[visible])
    with torch.no_grad():
        known = encode(p, images, hidden)
    x = latents + table[hidden]
    for index in range(DEPTH):
        x = block(p, f"{HEAD}.decoder.blocks.{index}", x)
    logits = apply(p, f"{HEAD}.projection", normed(p, f"{HEAD}.decoder.norm", x))
    tokens = (view.flatten(2).mT - p["mim.target.tokenizer.colors"].mT).abs().argmin(2)
    tokens = tokens.take_along_dim(hidden, 1)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten()) + ALIGNMENT * F.mse_loss(latents, known)
    places = torch.zeros(BATCH, CELLS).scatter(1, hidden, 1.0).to(torch.uint8)
    return loss, {"images": images, "view": view, "hidden": places}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    out = {}
    for name in ["plain", "scaled"]:
        fixed = {f"{HEAD}.regressor.positions.table": torch.randn(CELLS, WIDTH)}
        fixed["mim.target.tokenizer.colors"] = GRAYS.clone()
        case = steps(fresh(name == "scaled"), fixed, cae)
        out |= {f"{name}.{key}": value.clone() for key, value in case.items()}
    save_file(out, PATH)


if __name__ == "__main__":
    main()
