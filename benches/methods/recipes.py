#!/usr/bin/env python3
"""The choices behind the preset `mae_small_images`, each against a preset before it, in docs/recipes.md. Standard library only.

    cargo build --release
    python3 benches/methods/recipes.py                # 420 steps of every choice on the built-in data
    python3 benches/methods/recipes.py --steps 1560 --only preset
    python3 benches/methods/recipes.py --measure no   # writes the table of what was measured

Every row but those of `PRESET` is an earlier preset (`EARLIER`) with one thing changed, trained on as many images
(`burn-mim pretrain`) and read out with all labels (`burn-mim evaluate`). The processor seconds are those of the training, user and
system time of all threads: they say what a choice costs. What is in the results already is not measured again.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from pathlib import Path

from table import HERE, ROOT, Failed, between, groups, load, rows, run, summary, write

BEGIN, END = "<!-- benches/methods/recipes.py: begin -->", "<!-- benches/methods/recipes.py: end -->"

COLORS = "augmentation.jitter={brightness=0.4,contrast=0.4,saturation=0.4}"
# What is changed of the preset itself.
PRESET = {
    "preset": [],
    "without the convolutions, 3 blocks": ["numbers.encoder.stem=null", "numbers.encoder.depth=3"],
}
# An earlier preset: it was changed to the best of these choices, which were measured against it.
EARLIER = [
    "numbers.encoder.stem=null", "numbers.encoder.width=128", "numbers.encoder.depth=6", "numbers.encoder.heads=4",
    "numbers.decoder.depth=2", "numbers.mask.ratio=0.25", "batch_size=64", "recipe.lr_batch=256",
]
WIDE = ["numbers.encoder.width=192", "numbers.encoder.depth=3", "numbers.encoder.heads=6"]
# What is changed of the preset or of the earlier one: its name, and the assignments that change it.
CHOICES = PRESET | {
    "the earlier preset": [],
    "no contrast": ["numbers.contrast=null"],
    "no contrast, and the paper's patches of 4 and 75 % hidden": [
        "numbers.contrast=null", "numbers.encoder.patch=4", "numbers.mask.ratio=0.75",
    ],
    "contrast of weight 1": ["numbers.contrast.weight=1"],
    "no reconstruction to speak of: contrast of weight 1000": ["numbers.contrast.weight=1000"],
    "temperature 0.1": ["numbers.contrast.temperature=0.1"],
    "half of the patches hidden": ["numbers.mask.ratio=0.5"],
    "three quarters hidden": ["numbers.mask.ratio=0.75"],
    "patches of 4": ["numbers.encoder.patch=4"],
    "histograms of cells of 4 pixels": ["numbers.target.cell=4"],
    "all cells predicted": ["numbers.asked={asked='all'}"],
    "a decoder of one block": ["numbers.decoder.depth=1"],
    "pixels alone": ["numbers.target={target='pixels'}"],
    "AdamW": ["recipe.optimizer=adamw", "recipe.base_lr=4e-3"],
    "Muon and AdamW at one rate": ["recipe.muon_rate=1", "recipe.base_lr=16e-3"],
    "AdamW at a quarter of Muon's rate": ["recipe.base_lr=4e-3", "recipe.muon_rate=4"],
    "milder colors: 0.4, gray 0.2": [COLORS, "augmentation.gray=0.2"],
    "no colors": ["augmentation.jitter=null", "augmentation.gray=0"],
    "crops from 20 %": ["augmentation.crop.scale=[0.2,1.0]"],
    "192 features, 3 blocks": WIDE,
    "192 features, 3 blocks, a decoder of one block, an eighth hidden": [
        *WIDE, "numbers.decoder.depth=1", "numbers.mask.ratio=0.125",
    ],
    "4 blocks": ["numbers.encoder.depth=4"],
    "batches of 128, half as many steps": ["batch_size=128"],
    "batches of 32, twice as many steps": ["batch_size=32", "recipe.lr_batch=128"],
}
# Steps for each of the preset's.
STEPS = {"batches of 128, half as many steps": 0.5, "batches of 32, twice as many steps": 2} | dict.fromkeys(PRESET, 2)


def key(result):
    return tuple(result[name] for name in ["choice", "data", "steps", "seed"])


def measure(args):
    there = {key(result) for result in load(args.results, key)}
    for seed in range(args.seeds):
        for choice in args.only or CHOICES:
            result = {"choice": choice, "data": args.data, "steps": args.steps, "seed": seed}
            if key(result) in there:
                continue
            folder = args.out / "run"
            shutil.rmtree(folder, ignore_errors=True)
            assignments = [*([] if choice in PRESET else EARLIER), *CHOICES[choice]]
            flags = [part for assignment in assignments for part in ("--set", assignment)]
            steps = round(args.steps * STEPS.get(choice, 1))
            command = ["pretrain", "mae", "--data", args.data, "--steps", steps, "--seed", seed, "--out", folder, *flags]
            result["processor_seconds"] = round(run(args.program, *command)[0])
            for protocol in ["knn", "linear"]:
                command = ["evaluate", "--checkpoint", folder, "--data", args.data, "--protocol", protocol]
                answer = run(args.program, *command, "--seed", seed, "--out", args.out / "evaluate")[1]
                result[protocol] = json.loads(answer.strip().splitlines()[-1])["value"]
            with args.results.open("a") as results:
                results.write(json.dumps(result) + "\n")
            page(args)


def page(args):
    """Writes the tables of all results into the page."""
    parts = []
    for (data, steps), found in groups(load(args.results, key), "data", "steps").items():
        body = []
        for (choice,), of_choice in groups(found, "choice").items():
            numbers = [summary([result[name] for result in of_choice]) for name in ["knn", "linear"]]
            seconds = f"{statistics.mean(result['processor_seconds'] for result in of_choice):.0f}"
            changes = ", ".join(f"`{change}`" for change in CHOICES[choice]) or "–"
            body.append([choice, changes, seconds, str(len(of_choice)), *numbers])
        header = ["choice", "`--set`", "processor seconds", "seeds", "k-NN", "linear"]
        parts.append(f"**{data}**, {steps} steps:\n\n" + rows(header, body))
    if parts:
        text = between(args.page.read_text(), "\n\n".join(parts), BEGIN, END)
        write(args.page, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--program", type=Path, default=target / "release" / "burn-mim", help="the release program")
    parser.add_argument("--data", default="shapes", help="what to pre-train on and to read out")
    parser.add_argument("--steps", type=int, default=420, help="steps of 64 images")
    parser.add_argument("--seeds", type=int, default=1, help="seeds, counted from 0")
    parser.add_argument("--only", action="append", choices=list(CHOICES), help="a choice [default: all]")
    parser.add_argument("--measure", choices=["yes", "no"], default="yes")
    parser.add_argument("--results", type=Path, default=HERE / "recipes.jsonl")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "recipes.md")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "recipes", help="folder for runs under way")
    args = parser.parse_args()
    if args.measure == "yes":
        measure(args)
    page(args)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
