#!/usr/bin/env python3
"""Kills runs of every method at random moments, resumes them, and compares the ends with those of
runs that nobody killed: metrics but for the clock, every tensor of the last checkpoint, pictures.

    cargo build --examples
    tests/kills/run.py target/debug/examples --kills 100

Prints a line for each chain of kills and the count at the end; fails at the first difference.
"""

import argparse
import hashlib
import json
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

SMALL = ["--image-size", "16", "--batch-size", "16", "--workers", "1"]
METHODS = {
    "mae": ["mae_cifar10"],
    "simmim": ["simmim_cifar10"],
    "maskfeat": ["maskfeat_cifar10"],
    "context": ["context_cifar10"],
    "selfie": ["selfie_cifar10"],
    "image_gpt": ["image_gpt_cifar10", "--image-size", "8"],
    "restoration": ["restoration_cifar10"],
    "refine": ["refine_cifar10"],
    "cae": ["cae_cifar10"],
    "spark": ["spark_cifar10"],
    "cmae": ["cmae_cifar10"],
    "ijepa": ["ijepa_cifar10"],
    "eva": ["eva_cifar10"],
    "fcmae": ["fcmae_cifar10"],
    "milan": ["milan_cifar10"],
    "hiera_mae": ["hiera_cifar10"],
    "ibot": ["ibot_cifar10"],
    "lejepa": ["lejepa_cifar10"],
    "data2vec": ["data2vec_cifar10"],
    "tokenizer": ["train_tokenizer"],
    "beit": ["beit_cifar10"],
    "videomae": ["videomae", "--frames", "4", "--data", "moving-shapes", "--train-images", "64"],
}
CLOCK = {"seconds", "images_per_second", "wall_seconds"}


def cbor(data, at=0):
    """One value of CBOR (RFC 8949) and the place after it."""
    major, extra = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(extra, 0)
        return data[at : at + size] or extra, at + size
    if extra < 24:
        number = extra
    else:
        size = 1 << (extra - 24)
        number = int.from_bytes(data[at : at + size], "big")
        at += size
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        text = data[at : at + number]
        return (text.decode() if major == 3 else text), at + number
    if major == 4:
        values = []
        for _ in range(number):
            value, at = cbor(data, at)
            values.append(value)
        return values, at
    if major == 5:
        pairs = {}
        for _ in range(number):
            key, at = cbor(data, at)
            pairs[key], at = cbor(data, at)
        return pairs, at
    return cbor(data, at)


def tensors(path):
    """Hashes of all tensors of a burnpack file. Names hold parameters' ids, which are random."""
    data = path.read_bytes()
    size = int.from_bytes(data[6:10], "little")
    metadata, _ = cbor(data[10 : 10 + size])
    start = -(-(10 + size) // 256) * 256
    found = []
    for tensor in metadata["tensors"].values():
        first, last = tensor["data_offsets"]
        found.append(hashlib.sha256(data[start + first : start + last]).hexdigest())
    return sorted(found)


def write_images(folder):
    """IDX files of 96 images of noise to train on and 32 to test on."""
    folder.mkdir()
    noise = random.Random(0)
    for split, count in [("train", 96), ("t10k", 32)]:
        header = struct.pack(">BBBBIII", 0, 0, 8, 3, count, 16, 16)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + noise.randbytes(count * 256))
        labels = bytes(i % 10 for i in range(count))
        header = struct.pack(">BBBBI", 0, 0, 8, 1, count)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(header + labels)


def without_clock(value):
    if isinstance(value, dict):
        return {key: without_clock(v) for key, v in value.items() if key not in CLOCK}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


def checkpoints(folder):
    return sorted(folder.glob("**/checkpoints/step-*"))


def torn(folder):
    """The first file of a checkpoint that is not what its manifest says."""
    for checkpoint in checkpoints(folder):
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        for name, sums in manifest["files"].items():
            data = (checkpoint / name).read_bytes() if (checkpoint / name).exists() else b""
            if hashlib.sha256(data).hexdigest() != sums["sha256"]:
                return checkpoint / name
    return None


def end(folder):
    """What a run came to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".png":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name in ("metrics.json", "restoration.json", "config.json"):
            found[name] = without_clock(json.loads(path.read_text()))
        elif path.suffix == ".bpk" and "checkpoints" not in name:
            found[name] = tensors(path)
    for runs in {path.parent for path in checkpoints(folder)}:
        last = max(runs.glob("step-*"))
        for path in last.glob("*.bpk"):
            found[str(path.relative_to(folder))] = tensors(path)
    return found


class Campaign:
    def __init__(self, arguments, images):
        self.images = images
        self.binaries = pathlib.Path(arguments.binaries)
        self.epochs = str(arguments.epochs)
        self.random = random.Random(arguments.seed)
        self.kills = 0
        self.partials = 0

    def command(self, method, out, resume):
        name, *options = METHODS[method]
        data = f"idx:{self.images}"
        command = [str(self.binaries / name), *SMALL, "--data", data, "--out", str(out), "--epochs", self.epochs]
        # A later option of the same name would be refused: the method's own comes instead.
        for own in {"--image-size", "--data"} & set(options):
            at = command.index(own)
            del command[at : at + 2]
        return command + options + (["--resume"] if resume else [])

    def start(self, method, out):
        command = self.command(method, out, bool(checkpoints(out)))
        return command, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def whole(self, method, folder):
        started = time.monotonic()
        command, run = self.start(method, folder)
        _, said = run.communicate()
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)}: {said.decode()[-2000:]}")
        return end(folder), time.monotonic() - started

    def chain(self, method, folder, expected, seconds, most):
        """Kills one run up to `most` times, lets it end, and compares."""
        kills = 0
        while kills < most:
            _, run = self.start(method, folder)
            try:
                run.communicate(timeout=self.random.uniform(0.02, seconds))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.communicate()
                kills += 1
            self.partials += len(list(folder.glob("**/*.partial")))
            if path := torn(folder):
                sys.exit(f"{method}: {path} is torn after {kills} kills")
            if run.returncode == 0:
                break
        command, run = self.start(method, folder)
        _, said = run.communicate()
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)}: {said.decode()[-2000:]}")
        found = end(folder)
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                sys.exit(f"{method}: {name} is another one after {kills} kills, in {folder}")
        self.kills += kills
        print(f"{method}: {kills} kills, the same end", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binaries", help="the folder of the examples' binaries")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_images(folder / "images")
        campaign = Campaign(arguments, folder / "images")
        ends = {m: campaign.whole(m, folder / m / "whole") for m in arguments.methods}
        number = 0
        while campaign.kills < arguments.kills:
            for method in arguments.methods:
                left = arguments.kills - campaign.kills
                if left > 0:
                    most = min(campaign.random.randint(1, 4), left)
                    expected, seconds = ends[method]
                    campaign.chain(method, folder / method / str(number), expected, seconds, most)
                    number += 1
        print(f"{campaign.kills} kills, {campaign.partials} with something half-written: the same bits")


if __name__ == "__main__":
    main()
