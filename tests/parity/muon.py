"""Writes muon.safetensors: three steps of Muon on a wide and a tall matrix, in NumPy.

    pip install -r tests/parity/requirements.txt
    python tests/parity/muon.py

Muon is written as in its author's text (https://kellerjordan.github.io/posts/muon/), in 64 bits, with
the scale of Moonlight (arXiv 2502.16982 §2.2). torch.optim.Muon, whose Newton-Schulz steps are in
bfloat16, must agree to that type's accuracy. Matrices are [inputs, outputs]; torch's are transposed.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

PATH = Path(__file__).with_name("muon.safetensors")
RATE, DECAY, MOMENTUM, STEPS = 1e-2, 0.05, 0.95, 3


def orthogonalized(matrix: np.ndarray) -> np.ndarray:
    """Nearly U Vᵀ of the singular value decomposition U S Vᵀ."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def muon(weight: np.ndarray, gradients: list[np.ndarray]) -> list[np.ndarray]:
    """The weight after each step."""
    velocity, after = np.zeros_like(weight), []
    for gradient in gradients:
        velocity = MOMENTUM * velocity + gradient
        update = orthogonalized(gradient + MOMENTUM * velocity)
        scale = 0.2 * np.sqrt(max(weight.shape))
        weight = weight * (1 - RATE * DECAY) - RATE * scale * update
        after.append(weight)
    return after


def by_torch(weight: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """The weight after the last step of torch's own optimizer."""
    parameter = torch.nn.Parameter(torch.tensor(weight.T, dtype=torch.float32))
    optimizer = torch.optim.Muon(
        [parameter], lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient.T, dtype=torch.float32)
        optimizer.step()
    return parameter.detach().numpy().T


def main() -> None:
    draw, tensors = np.random.default_rng(0).standard_normal, {}
    for name, shape in [("wide", (4, 12)), ("tall", (10, 6))]:
        weight, gradients = draw(shape), [draw(shape) for _ in range(STEPS)]
        after = muon(weight, gradients)
        np.testing.assert_allclose(by_torch(weight, gradients), after[-1], atol=2e-3)
        tensors |= {f"{name}.start": weight}
        tensors |= {f"{name}.gradient.{step}": value for step, value in enumerate(gradients)}
        tensors |= {f"{name}.after.{step}": value for step, value in enumerate(after)}
        # Query, key and value: each third of the columns by itself.
        if name == "wide":
            thirds = [
                muon(part, [np.split(gradient, 3, 1)[index] for gradient in gradients])
                for index, part in enumerate(np.split(weight, 3, 1))
            ]
            joined = [np.concatenate(parts, 1) for parts in zip(*thirds, strict=True)]
            tensors |= {f"thirds.after.{step}": value for step, value in enumerate(joined)}
    save_file({name: np.ascontiguousarray(x, np.float32) for name, x in tensors.items()}, PATH)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
