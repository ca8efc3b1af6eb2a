"""How fast a pre-training step is on PyTorch: the same step, flags and last line as
`cargo run --release --example throughput`.

    python benches/pytorch/step.py --method mae --image-size 32 --patch-size 2
    python benches/pytorch/step.py --case selfie

Needs torch and transformers. Threads are PyTorch's default.
"""

import argparse
import importlib
import json
import math
import resource
import statistics
import time

import torch

from cases import CASES
from networks.task import Task

# Steps that are not timed where there are more than twice as many: memory is new to them.
WARM_UP = 2


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="mae", choices=["mae", "simmim"])
    parser.add_argument("--encoder", default="vit", choices=["vit", "swin", "swin-v2"])
    parser.add_argument("--case", choices=CASES, help="the step of a case of cases.py")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--patch-size", type=int, default=2)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--depth", default="12")
    parser.add_argument("--heads", default="3")
    parser.add_argument("--window", type=int, default=6)
    parser.add_argument("--decoder-width", type=int, default=192)
    parser.add_argument("--decoder-depth", type=int, default=4)
    parser.add_argument("--decoder-heads", type=int, default=3)
    parser.add_argument("--mask-ratio", type=float, default=0.75)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no step begins after so many, but for five")
    parser.add_argument("--flop", action="store_true", help="count the floating-point operations too, of one step more")
    return parser.parse_args()


def task_of(args) -> Task:
    case = CASES.get(args.case)
    if case is None or case.theirs is None:
        huggingface = importlib.import_module("networks.huggingface")
        return {"mae": huggingface.mae, "simmim": huggingface.simmim}[args.method](args)
    module, function = case.theirs.split(".")
    return getattr(importlib.import_module(f"networks.{module}"), function)(args.batch, args.image_size)


def convolution_backward(gradient, images, weight, *rest, out_shape=None) -> int:
    """Of shapes. PyTorch's own formula takes a depthwise convolution for a dense one."""
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, needed = rest
    places = images if transposed else gradient
    return 2 * places[0] * math.prod(places[2:]) * math.prod(weight) * sum(needed[:2])


def flop(task: Task, inference: bool) -> int:
    """The matrix products and convolutions of a step."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    mapping = {torch.ops.aten.convolution_backward: convolution_backward}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        loss = task.loss(*task.batch())
        if not inference:
            loss.backward()
    return counter.get_total_flops()


def main():
    args = arguments()
    torch.manual_seed(0)
    inference = args.case is not None and CASES[args.case].inference
    torch.set_grad_enabled(False)
    task = task_of(args)
    torch.set_grad_enabled(not inference)
    task.model.train(not inference).to(args.device)
    parameters = sum(parameter.numel() for parameter in task.model.parameters())
    trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)
    seconds, losses = [], []
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    while len(seconds) < args.steps and (len(seconds) <= 2 * WARM_UP or time.perf_counter() - begun < args.seconds):
        batch = [value.to(args.device) if torch.is_tensor(value) else value for value in task.batch()]
        start = time.perf_counter()
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = task.loss(*batch)
        if not inference:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            task.after()
        losses.append(loss.item())
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    timed = seconds[WARM_UP if len(seconds) > 2 * WARM_UP else 0 :]
    median = statistics.median(timed)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    line = {
        "method": args.case or args.method,
        "images_per_s": args.batch / median,
        "step_s_median": median,
        "step_s_min": min(timed),
        "steps": len(seconds),
        "user_s_per_step": (usage.ru_utime - used) / len(seconds),
        "peak_rss_mb": usage.ru_maxrss / 1024,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "parameters": parameters,
    }
    if args.flop:
        line["flop"] = flop(task, inference)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
