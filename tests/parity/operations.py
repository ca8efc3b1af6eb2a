"""Single operations as PyTorch computes them, with gradients: what larger fixtures are made of."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reference import sin_cos


def operations() -> dict[str, Tensor]:
    """Single operations: inputs and outputs, and gradients for the `grad_output` beside them.

    Linear layers are PyTorch's: weights [out, in]. Tables are row-major over their grid.
    """
    torch.manual_seed(0)
    table = torch.randn(12, 8)
    planes = table.T.reshape(1, 8, 4, 3)
    tensors = {
        "sin_cos.4x6_width_16": sin_cos((4, 6), 16),
        "resize.table_4x3": table,
    }
    for rows, cols in [(6, 5), (2, 2), (4, 3)]:
        resized = F.interpolate(planes, (rows, cols), mode="bicubic", align_corners=False)
        tensors[f"resize.to_{rows}x{cols}"] = resized.flatten(2)[0].T

    def record(name: str, layer, **arguments: Tensor):
        """Runs `layer` forwards, and backwards from a random gradient of its output."""
        arguments = {key: value.requires_grad_() for key, value in arguments.items()}
        output = layer(**arguments)
        grad_output = torch.randn(output.shape)
        gradients = torch.autograd.grad(output, list(arguments.values()), grad_output)
        tensors.update({f"{name}.{key}": value.detach() for key, value in arguments.items()})
        tensors.update({f"{name}.output": output.detach(), f"{name}.grad_output": grad_output})
        for key, gradient in zip(arguments, gradients, strict=True):
            tensors[f"{name}.grad.{key}"] = gradient

    def layer_norm(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(input, [8], weight, bias, 1e-3)

    def attention(input: Tensor, qkv_weight, qkv_bias, out_weight, out_bias, scores_bias) -> Tensor:
        qkv = F.linear(input, qkv_weight, qkv_bias).unflatten(2, (3, 2, 4))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        joined = F.scaled_dot_product_attention(query, key, value, scores_bias)
        return F.linear(joined.transpose(1, 2).flatten(2), out_weight, out_bias)

    draw = torch.randn
    record("gelu", F.gelu, input=torch.linspace(-6, 6, 49))
    record("layer_norm_eps_1e-3", layer_norm, input=draw(2, 3, 8), weight=draw(8), bias=draw(8))
    record(
        "attention_2_heads",
        attention,
        input=draw(2, 5, 8),
        qkv_weight=draw(24, 8) * 0.4,
        qkv_bias=draw(24),
        out_weight=draw(8, 8) * 0.4,
        out_bias=draw(8),
        scores_bias=draw(1, 2, 5, 5),
    )
    return {key: value.contiguous() for key, value in tensors.items()}
