"""Prints what src/train/lamb.rs holds LAMB to: three steps of timm's.

    pip install -r tests/parity/requirements.txt
    python tests/parity/lamb.py
"""

import torch
from timm.optim import Lamb


def main() -> None:
    matrix = torch.nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
    vector = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    groups = [{"params": [matrix], "weight_decay": 0.04}, {"params": [vector], "weight_decay": 0.0}]
    optimizer = Lamb(groups, lr=0.1, betas=(0.9, 0.95), eps=1e-6, max_grad_norm=None)
    for step in range(3):
        for parameter in (matrix, vector):
            places = torch.arange(parameter.numel(), dtype=torch.float32)
            parameter.grad = (0.1 * (step + 1) * (places - 1.5)).view_as(parameter)
        optimizer.step()
    for parameter in (matrix, vector):
        print([round(value, 7) for value in parameter.flatten().tolist()])


if __name__ == "__main__":
    main()
