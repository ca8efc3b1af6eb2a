"""Writes mim_targets.safetensors: masked autoencoders with other targets, asked cells and decoders.

    pip install -r tests/parity/requirements.txt
    python tests/parity/mim_targets.py

Each case is a model of restated.py, or the same with CrossMAE's decoder, and what it computes of the
same images: `CASE.weight.PATH` its parameters and `CASE.grad.PATH` their gradients, under the paths
and in the layout of this crate, `CASE.prediction` [b, asked, width] and `CASE.loss`. `images`,
`hidden` and `asked` are shared: images, and the cells [b, n] in ascending order.

    both      pixels, normalized by patch, and histograms of gradients: 0.5 and 2 times their losses
    low_pass  pixels of frequencies up to 1.5 cycles, of all cells
    cross     CrossMAE's decoder (arXiv 2401.14391 §3.2), asked for a part of the hidden cells
"""

import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from families import fill
from restated import Mae, Mlp, grid

PATH = Path(__file__).with_name("mim_targets.safetensors")
CONFIG = dict(channels=2, image_size=[8, 12], patch_size=4, width=8, depth=2, heads=2, eps=1e-6)
CONFIG |= dict(decoder_width=12, decoder_depth=2, decoder_heads=3)
HIDDEN = torch.tensor([[0, 2, 3, 5], [1, 2, 4, 5]])
ASKED = torch.tensor([[0, 3], [2, 4]])
BINS = 9


class CrossBlock(nn.Module):
    """Queries look at the encoder's tokens, never at each other."""

    def __init__(self, memory: int, width: int, heads: int, eps: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps)
        self.mlp = Mlp(width, 4 * width)
        self.heads = heads

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        split = lambda joined: joined.unflatten(2, (self.heads, -1)).transpose(1, 2)
        query = split(self.query(self.norm1(tokens)))
        key, value = (split(part) for part in self.key_value(memory).chunk(2, -1))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(attended)
        return tokens + self.mlp(self.norm2(tokens))


class CrossMae(Mae):
    """The same encoder with CrossMAE's decoder, which has no layer between the two widths."""

    def _add_decoder(self, width: int, rows: int):
        super()._add_decoder(width, rows)
        del self.decoder_embed, self.decoder_blocks
        config = self.config
        # No row for a class token: nothing asks for it.
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, rows - 1, width), requires_grad=False)
        blocks = [
            CrossBlock(config["width"], width, config["decoder_heads"], config["eps"])
            for _ in range(config["decoder_depth"])
        ]
        self.decoder_blocks = nn.ModuleList(blocks)

    def decode_asked(self, features: Tensor, asked: Tensor) -> Tensor:
        tokens = self.decoder_pos_embed[0][asked] + self.mask_token
        for block in self.decoder_blocks:
            tokens = block(tokens, features)
        return self.decoder_pred(self.decoder_norm(tokens))


def visible(hidden: Tensor) -> Tensor:
    cells = range(grid(CONFIG)[0] * grid(CONFIG)[1])
    rest = [[cell for cell in cells if cell not in sample] for sample in hidden.tolist()]
    return torch.tensor(rest)


def patches(images: Tensor, side: int) -> Tensor:
    """Squares [b, cells, row, column, channel]."""
    cut = images.unfold(2, side, side).unfold(3, side, side)
    return cut.permute(0, 2, 3, 4, 5, 1).flatten(1, 2)


def pixels(images: Tensor, normalized: bool) -> Tensor:
    values = patches(images, CONFIG["patch_size"]).flatten(2)
    if normalized:
        mean, variance = values.mean(-1, keepdim=True), values.var(-1, keepdim=True)
        values = (values - mean) / (variance + 1e-6).sqrt()
    return values


def low_pass(images: Tensor, radius: float) -> Tensor:
    """Frequencies up to `radius` around the constant, which `fftshift` puts at half the size."""
    height, width = images.shape[2:]
    down, right = (torch.arange(size) - size // 2 for size in (height, width))
    circle = down[:, None] ** 2 + right**2 <= radius**2
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1)) * circle
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real


def hog(images: Tensor, cell: int) -> Tensor:
    """MaskFeat's histograms (arXiv 2112.09133 §3) of cells [b, cells, channel · bin]."""
    planes = F.pad(images, (1, 1, 1, 1), mode="reflect").flatten(0, 1)[:, None]
    sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    x, y = F.conv2d(planes, sobel[None, None]), F.conv2d(planes, sobel.T[None, None])
    bins = (torch.atan2(x, y) / torch.pi * BINS).floor().long() % BINS
    strength = torch.hypot(x, y)
    filled = torch.zeros(len(planes), BINS, *strength.shape[2:]).scatter(1, bins, strength)
    sums = F.avg_pool2d(filled, cell) * cell**2
    return F.normalize(sums, dim=1).unflatten(0, images.shape[:2]).flatten(1, 2).flatten(2).mT


def rows(values: Tensor, cells: Tensor) -> Tensor:
    return values.take_along_dim(cells[:, :, None], 1)


RENAMED = [
    (r"^patch_embed\.proj", "encoder.body.patch_embed"),
    (r"^cls_token", "encoder.body.class_token"),
    (r"^pos_embed", "encoder.body.positions.table"),
    (r"^(blocks|norm)\b", r"encoder.body.transformer.\1"),
    (r"^mask_token", "head.mask_token"),
    (r"^decoder_embed", "head.embed"),
    (r"^decoder_pos_embed", "head.positions.table"),
    (r"^decoder_pred", "head.projection"),
    (r"\.attn\.qkv", ".attention.qkv"),
    (r"\.attn\.proj", ".attention.out"),
    (r"(norm\d?)\.weight$", r"\1.gamma"),
    (r"(norm\d?)\.bias$", r"\1.beta"),
]


def ours(name: str, value: Tensor, cross: bool) -> tuple[str, Tensor]:
    """A parameter's path and layout in this crate: matrices are [inputs, outputs]."""
    decoder = "head" if cross else "head.transformer"
    renamed = RENAMED + [(r"^decoder_(blocks|norm)", rf"{decoder}.\1")]
    for pattern, replacement in renamed:
        name = re.sub(pattern, replacement, name)
    if cross:
        name = re.sub(r"^(head\.blocks\.\d+)\.(query|key_value|out)", r"\1.attention.\2", name)
    if re.search(r"(token|table)$", name):
        return name, value.flatten(0, -2)
    return name, value.flatten(1).T if value.dim() > 1 else value


def case(name: str, model: Mae, width: int, predict, loss, tensors: dict):
    model.decoder_pred = nn.Linear(CONFIG["decoder_width"], width)
    fill(model, grid(CONFIG))
    prediction = predict(model)
    value = loss(prediction)
    value.backward()
    tensors |= {f"{name}.prediction": prediction, f"{name}.loss": value.reshape(1)}
    for path, weight in model.named_parameters():
        for kind, values in [("weight", weight), ("grad", weight.grad)]:
            if values is not None:
                renamed, values = ours(path, values, isinstance(model, CrossMae))
                tensors[f"{name}.{kind}.{renamed}"] = values


def main() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, CONFIG["channels"], *CONFIG["image_size"])
    kept, side = visible(HIDDEN), CONFIG["patch_size"]
    tensors = {"images": images, "hidden": HIDDEN, "asked": ASKED}

    raw, histograms = pixels(images, True), hog(images, side)
    split = raw.shape[2]

    def both(prediction: Tensor) -> Tensor:
        first = F.mse_loss(prediction[..., :split], rows(raw, HIDDEN))
        return 0.5 * first + 2 * F.mse_loss(prediction[..., split:], rows(histograms, HIDDEN))

    def of_hidden(model: Mae) -> Tensor:
        return rows(model.decode(model.encode(images, kept), kept), HIDDEN)

    width = split + histograms.shape[2]
    case("both", Mae(CONFIG), width, of_hidden, both, tensors)

    filtered = pixels(low_pass(images, 1.5), False)
    of_all = lambda model: model.decode(model.encode(images, kept), kept)
    squared = lambda prediction: F.mse_loss(prediction, filtered)
    case("low_pass", Mae(CONFIG), split, of_all, squared, tensors)

    of_asked = lambda model: model.decode_asked(model.encode(images, kept), ASKED)
    squared = lambda prediction: F.mse_loss(prediction, rows(raw, ASKED))
    case("cross", CrossMae(CONFIG), split, of_asked, squared, tensors)

    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, PATH)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
