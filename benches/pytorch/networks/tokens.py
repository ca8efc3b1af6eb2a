"""BEiT, Image GPT, and the tokenizers: a discrete VAE and a vector quantizer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .task import Task, constant, masks, patchify, rows
from .vit import QuickGelu, Transformer, Vit


def nearest(colors: Tensor, palette: Tensor) -> Tensor:
    """The palette's nearest color: the least of |c|² − 2 x · c."""
    return torch.addmm(palette.square().sum(1), colors, palette.T, alpha=-2).argmin(1)


class Beit(nn.Module):
    def __init__(self, side: int, patch: int, width: int, depth: int, heads: int, vocabulary: int) -> None:
        super().__init__()
        self.patch = patch
        self.encoder = Vit(
            side, patch, width, depth, heads, positions="none", relative=True, scale=0.1, qv_bias=True
        )
        self.head = nn.Linear(width, vocabulary)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        self.palette = constant(vocabulary, 3)

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        means = rows(patchify(images, self.patch), hidden).unflatten(2, (3, -1)).mean(3)
        ids = nearest(means.flatten(0, 1), self.palette)
        logits = self.head(rows(self.encoder(images, hidden), hidden))
        return F.cross_entropy(logits.flatten(0, 1), ids)


def beit(batch: int, side: int) -> Task:
    """ViT-T/4 with BEiT's blocks, on the tokens of a palette."""
    model, cells = Beit(side, 4, 192, 12, 3, 512), (side // 4) ** 2
    hidden = int(cells * 0.4)
    return Task(model, lambda: (torch.rand(batch, 3, side, side), masks(batch, cells, hidden)[1]), model)


class ImageGpt(nn.Module):
    def __init__(self, side: int, width: int, depth: int, heads: int, colors: int = 512) -> None:
        super().__init__()
        self.embed = nn.Embedding(colors + 1, width)
        self.positions = nn.Parameter(torch.randn(side * side, width) * 0.02)
        self.transformer = Transformer(
            width, depth, heads, lambda width: nn.RMSNorm(width, 1e-5), QuickGelu(), causal=True
        )
        self.head = nn.Linear(width, colors, bias=False)
        for weight in (self.embed.weight, self.head.weight):
            nn.init.normal_(weight, std=0.02)
        self.palette, self.colors = constant(colors, 3), colors

    def forward(self, images: Tensor) -> Tensor:
        batch = len(images)
        ids = nearest(images.permute(0, 2, 3, 1).reshape(-1, 3), self.palette).view(batch, -1)
        read = F.pad(ids[:, :-1], (1, 0), value=self.colors)
        features = self.transformer(self.embed(read) + self.positions)
        return F.cross_entropy(self.head(features).flatten(0, 1), ids.flatten())


def image_gpt(batch: int, side: int) -> Task:
    """As `image_gpt_small_images`."""
    model = ImageGpt(side, 64, 4, 4)
    return Task(model, lambda: (torch.rand(batch, 3, side, side),), model)


def conv(inputs: int, outputs: int, side: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2)
    nn.init.normal_(layer.weight, std=(inputs * side * side) ** -0.5)
    nn.init.zeros_(layer.bias)
    return layer


class DvaeBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, sides: list[int], gain: float) -> None:
        super().__init__()
        self.identity = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        narrow, layers = outputs // 4, []
        for side, (a, b) in zip(sides, [(inputs, narrow), (narrow, narrow), (narrow, narrow), (narrow, outputs)]):
            layers += [nn.ReLU(), conv(a, b, side)]
        self.branch, self.gain = nn.Sequential(*layers), gain

    def forward(self, x: Tensor) -> Tensor:
        return self.identity(x) + self.gain * self.branch(x)


class Dvae(nn.Module):
    def __init__(self, hidden: int, vocabulary: int, code: int) -> None:
        super().__init__()
        widths = [hidden, 2 * hidden, 4 * hidden]
        gain = 1 / len(widths) ** 2
        chain = lambda first, sides: [  # noqa: E731
            DvaeBlock(a, b, sides, gain) for a, b in zip([first, *widths], widths)
        ]
        encoder = chain(hidden, [3, 3, 3, 1])
        self.encoder = nn.Sequential(
            conv(3, hidden, 7), encoder[0], nn.MaxPool2d(2), encoder[1], nn.MaxPool2d(2), encoder[2], nn.ReLU()
        )
        self.to_logits = nn.Linear(widths[-1], vocabulary)
        nn.init.normal_(self.to_logits.weight, std=widths[-1] ** -0.5)
        self.codes = nn.Linear(vocabulary, code)
        nn.init.normal_(self.codes.weight)
        widths.reverse()
        decoder = chain(code, [1, 3, 3, 3])
        double = lambda: nn.Upsample(scale_factor=2)  # noqa: E731
        self.decoder = nn.Sequential(
            decoder[0], double(), decoder[1], double(), decoder[2], nn.ReLU(), conv(hidden, 3, 1)
        )
        # Temperature and weight of the divergence, which follow a schedule.
        self.temperature, self.kl_weight = constant(1), constant(1)
        self.temperature.fill_(1.0), self.kl_weight.fill_(1e-3)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        features = self.encoder(images * 0.8 + 0.1)
        side = features.shape[-1]
        logits = self.to_logits(features.flatten(2).transpose(1, 2))
        log_choices = F.log_softmax(logits, 2)
        choices = log_choices.exp()
        size = torch.tensor(float(choices.shape[-1])).log()
        divergence = (choices * log_choices).sum(2).mean() + size
        codes = self.codes(((logits + noise) / self.temperature).softmax(2))
        decoded = self.decoder(codes.transpose(1, 2).unflatten(2, (side, side)))
        return F.mse_loss(decoded, images) + divergence * self.kl_weight


def dvae(batch: int, side: int) -> Task:
    """As `DvaeConfig::small_images`."""
    model, cells = Dvae(16, 512, 64), (side // 4) ** 2

    def draw() -> tuple:
        noise = -torch.empty(batch, cells, 512).exponential_().log()
        return torch.rand(batch, 3, side, side), noise

    return Task(model, draw, model)


def tanh_layers(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, inputs), nn.Tanh(), nn.Linear(inputs, outputs))


class Vq(nn.Module):
    def __init__(self, side: int, patch: int, width: int, heads: int, vocabulary: int, code: int) -> None:
        super().__init__()
        plain = dict(class_token=False, mask_token=False, positions="none")
        self.patch, self.vocabulary = patch, vocabulary
        self.encoder = Vit(side, patch, width, 1, heads, **plain)
        self.to_code = tanh_layers(width, code)
        self.codes = constant(vocabulary, code)
        self.uses = constant(vocabulary)
        self.embed = nn.Linear(code, width)
        self.positions = constant((side // patch) ** 2, width)
        self.decoder = Transformer(width, 1, heads)
        self.to_pixels = tanh_layers(width, 3 * patch * patch)

    def forward(self, images: Tensor) -> Tensor:
        latents = F.normalize(self.to_code(self.encoder(images * 2 - 1)), dim=2)
        plain = latents.detach().flatten(0, 1)
        ids = (plain @ self.codes.T).argmax(1)
        codes = self.codes[ids].view_as(latents)
        self.seen = plain, ids
        commitment = (latents - codes).square().mean()
        tokens = self.embed(latents + (codes - latents.detach())) + self.positions
        decoded = self.to_pixels(self.decoder(tokens))
        return F.mse_loss(decoded, patchify(images, self.patch)) + commitment

    @torch.no_grad()
    def follow(self) -> None:
        """The code vectors follow the cells that chose them, and dead ones move to some cell."""
        latents, ids = self.seen
        counts = torch.bincount(ids, minlength=self.vocabulary).float()
        sums = torch.zeros_like(self.codes).index_add_(0, ids, latents)
        self.uses.mul_(0.97).add_(counts, alpha=0.03)
        unused = (counts == 0)[:, None]
        seen = torch.where(unused, self.codes, F.normalize(sums, dim=1))
        followed = F.normalize(self.codes * 0.97 + seen * 0.03, dim=1)
        dead = (self.uses < 0.1 * counts.mean())[:, None]
        stride = (len(latents) // self.vocabulary) | 1
        candidates = latents[torch.arange(self.vocabulary) * stride % len(latents)]
        self.codes.copy_(torch.where(dead, candidates, followed))
        self.uses.copy_(torch.where(dead[:, 0], counts.mean(), self.uses))


def vq(batch: int, side: int) -> Task:
    """As `VqConfig::small_images`."""
    model = Vq(side, 4, 64, 2, 512, 16)
    return Task(model, lambda: (torch.rand(batch, 3, side, side),), model, model.follow)
