#!/usr/bin/env python3
"""Does runs by several processes under mpirun, and compares their ends with that of one process: metrics
but for the clock, every tensor of the last checkpoint, pictures, and the scores of an evaluation. Then
kills runs of two processes at random moments, and lets other numbers of processes go on with them.

    cargo build --features mpi --examples
    tests/mpi/run.py target/debug/examples --ranks 1 2 4 --kills 4

Prints a line for each comparison; fails at the first difference.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("kills", HERE.parent / "kills" / "run.py")
KILLS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(KILLS)

LAUNCH = ["mpirun", "--oversubscribe", "--bind-to", "none"]
if os.getuid() == 0:
    LAUNCH.append("--allow-run-as-root")


class Runs:
    def __init__(self, arguments, data):
        self.arguments = arguments
        self.data = data
        self.random = random.Random(arguments.seed)

    def start(self, method, ranks, out):
        """Starts a run of `ranks` processes, or goes on with one."""
        binary, *options = KILLS.METHODS[method]
        side = "8" if method == "image_gpt" else "16"
        command = [*LAUNCH, "-n", str(ranks), str(pathlib.Path(self.arguments.binaries) / binary)]
        if "--image-size" not in options:
            options += ["--image-size", side]
        command += [*options, "--data", *self.data, "--batch-size", str(self.arguments.micro_batch), "--accumulation"]
        command += ["4", "--workers", "1", "--epochs", str(self.arguments.epochs), "--out", str(out)]
        if KILLS.checkpoints(out):
            command.append("--resume")
        # Each process has one thread, so that as many as there are cores disturb nobody.
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        return command, subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment)

    def whole(self, method, ranks, out):
        """Lets a run come to its end; returns what it came to."""
        started = time.monotonic()
        command, run = self.start(method, ranks, out)
        told, said = run.communicate()
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)}: {told.decode()[-1000:]}{said.decode()[-2000:]}")
        # One of the processes tells, and tells once.
        if told.count(b"checkpoints, metrics and pictures are in") > 1:
            sys.exit(f"{' '.join(command)} tells more than once: {told.decode()}")
        return KILLS.end(out), time.monotonic() - started

    def evaluation(self, checkpoint, ranks):
        """Starts an evaluation of a run by `ranks` processes."""
        binary = pathlib.Path(self.arguments.binaries) / "evaluate"
        command = [*LAUNCH, "-n", str(ranks), str(binary), "--checkpoint", str(checkpoint), "--data", self.data[0]]
        command += ["--protocol", "linear", "--baselines", "--seeds", "2", "--batch-size", "8"]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        return command, subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment)

    def evaluated(self, checkpoint, ranks):
        """The scores of a run, by `ranks` processes, of which one tells them."""
        started = time.monotonic()
        command, run = self.evaluation(checkpoint, ranks)
        told, said = run.communicate()
        lines = told.decode().strip().splitlines()
        if run.returncode != 0 or len(lines) != 1:
            sys.exit(f"{' '.join(command)}: {told.decode()[-1000:]}{said.decode()[-2000:]}")
        return {"scores": KILLS.without_clock(json.loads(lines[0]))}, time.monotonic() - started

    def killed_evaluation(self, method, checkpoint, seconds):
        """Kills one of two processes that evaluate: the other does not wait for it."""
        _, run = self.evaluation(checkpoint, 2)
        time.sleep(self.random.uniform(0.3, 0.8) * seconds)
        if self.kill_last(run, signal.SIGKILL):
            try:
                run.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                run.kill()
                sys.exit(f"{method}: a process that evaluates waits for one that was killed")
            if run.returncode == 0:
                sys.exit(f"{method}: an evaluation is a success although one of two processes was killed")
            print(f"{method}: an evaluation ends when one of two processes is killed", flush=True)
        run.communicate()

    def kill_last(self, run, how):
        """Sends a signal to the last process that `run` has started; whether there is one."""
        children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        for child in children[-1:]:
            os.kill(int(child), how)
        return bool(children)

    def compare(self, method, what, expected, found):
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                sys.exit(f"{method}: {name} is another one {what}")
        print(f"{method}: the same end {what}", flush=True)

    def kill(self, method, ranks, out, seconds):
        """Ends one process of a run, or asks it to stop; returns whether it did so before the end."""
        _, run = self.start(method, ranks, out)
        how = self.random.choice([signal.SIGKILL, signal.SIGTERM])
        try:
            run.communicate(timeout=self.random.uniform(0.3, 1.0) * seconds)
            return None
        except subprocess.TimeoutExpired:
            self.kill_last(run, how)
            try:
                run.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                run.kill()
                sys.exit(f"{method}: of {ranks} processes the others wait for one that was ended by {how.name}")
            if run.returncode == 0 and how == signal.SIGKILL:
                sys.exit(f"{method}: a run of {ranks} processes is a success although one was ended by {how.name}")
            # One that was asked to stop when all steps were done has ended as ever.
            return None if run.returncode == 0 else how.name

    def chain(self, method, folder, expected, seconds, number):
        """Kills a run of two processes, and goes on with it by four and by one."""
        killed = folder / f"killed-{number}"
        how = self.kill(method, 2, killed, seconds)
        if path := KILLS.torn(killed):
            sys.exit(f"{method}: {path} is torn")
        for ranks in sorted(self.arguments.ranks, reverse=True):
            if ranks == 2 and len(self.arguments.ranks) > 2:
                continue
            out = folder / f"resumed-{number}-{ranks}"
            if killed.exists():
                shutil.copytree(killed, out)
            found, _ = self.whole(method, ranks, out)
            self.compare(method, f"after {how or 'no signal'} among 2, by {ranks} that go on", expected, found)
        return how is not None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binaries", help="the folder of the examples' binaries")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=2, help="of each method")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--images", type=int, help="of the built-in data, in place of 96 of noise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=["mae", "beit", "image_gpt"], choices=list(KILLS.METHODS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = ["shapes", "--train-images", str(arguments.images)]
        if arguments.images is None:
            KILLS.write_images(folder / "images")
            data = [f"idx:{folder / 'images'}"]
        runs = Runs(arguments, data)
        for method in arguments.methods:
            own = folder / method
            expected, seconds = runs.whole(method, 1, own / "1")
            print(f"{method}: one process takes {seconds:.0f} s", flush=True)
            for ranks in arguments.ranks:
                if ranks > 1:
                    found, seconds = runs.whole(method, ranks, own / str(ranks))
                    runs.compare(method, f"by {ranks} processes, after {seconds:.0f} s", expected, found)
            scores, takes = runs.evaluated(own / "1", 1)
            for ranks in arguments.ranks:
                if ranks > 1:
                    found, _ = runs.evaluated(own / "1", ranks)
                    runs.compare(method, f"of an evaluation by {ranks} processes", scores, found)
            runs.killed_evaluation(method, own / "1", takes)
            done, number = 0, 0
            while done < arguments.kills:
                done += runs.chain(method, own, expected, seconds, number)
                number += 1


if __name__ == "__main__":
    main()
