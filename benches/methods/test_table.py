"""Tests of table.py: what it writes, and that it measures nothing twice, with a program that only pretends."""

import argparse
import contextlib
import io
import json
import stat
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import table

# Answers as burn-mim does, and notes every call.
PROGRAM = f"""#!{sys.executable}
import json, pathlib, sys
with open(pathlib.Path(sys.argv[0]).parent / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
command, *flags = sys.argv[1:]
value = lambda flag: flags[flags.index(flag) + 1]
if command == "presets":
    print("mae_small_images  MAE\\nbeit_small_images  BEiT\\nmae_base  MAE")
elif "--print-config" in flags:
    print("[numbers.encoder.image]\\nchannels = 3\\nheight = 32\\nwidth = 32\\n")
    print("[numbers.tokenizer]" if "beit" in value("--preset") else "")
    print("d: 1000 images to train, 200 to test", file=sys.stderr)
elif command == "evaluate":
    if value("--protocol") == "dense":
        sys.exit("error: sample 0: has no label map")
    score = {{"knn": 30.0, "linear": 20.0, "attentive": 40.0, "finetune": 50.0}}[value("--protocol")]
    names = ["raw pixels", "HOG"] if "--baselines" in flags else []
    scores = [{{"encoder": name, "value": 50 * float(value("--labels"))}} for name in names]
    print(json.dumps({{"value": score, "scores": scores}}))
"""


def result(method, seed, minutes=None, **scores):
    return {"method": method, "data": "d", "seed": seed, "minutes": minutes, "labels": 0.5, "steps": 100,
            "processor_seconds": 186.0, "scores": scores}


class Tables(unittest.TestCase):
    def test_rows_are_means_over_seeds_and_what_is_below_pixels_is_marked(self):
        text = table.tables([
            result("mae", 0, 3.0, knn=30.0, linear=42.0), result("mae", 1, 3.0, knn=32.0, linear=44.0),
            result("raw pixels", 0, knn=40.0, linear=40.0), result("HOG", 0, knn=70.0),
        ])
        self.assertIn("**d**, 50 % of the labels:", text)
        self.assertIn("| pre-training | processor minutes (taken) | steps | seeds | k-NN | linear |", text)
        self.assertIn("| raw pixels | – | – | 1 | 40.0 | 40.0 |\n| HOG | – | – | 1 | 70.0 | – |", text)
        self.assertIn("| `mae` | 3 (3.1) | 100 | 2 | 31.0 ± 1.4 ▼ | 43.0 ± 1.4 |", text)
        self.assertIn("▼: below raw pixels", text)

    def test_an_attentive_probe_is_compared_with_logistic_regression_of_pixels(self):
        text = table.tables([result("raw pixels", 0, linear=40.0), result("mae", 0, 3.0, attentive=39.0, dense=5.0)])
        self.assertIn("| – | 39.0 ▼ | 5.0 |", text)

    def test_a_curve_has_a_table_of_its_own(self):
        part = {"train_images": 500, "steps_asked": 100}
        text = table.tables([{**result("mae", 0, knn=30.0), **part}])
        self.assertIn("by the images that are pre-trained on", text)
        self.assertIn("| `mae` | 500 | 100 | 1 | 30.0 |", text)
        self.assertNotIn("processor minutes", text)

    def test_the_page_keeps_what_is_outside_of_the_marks(self):
        page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
        self.assertEqual(table.between(page, "new"), f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n")
        with self.assertRaises(table.Failed):
            table.between("no marks", "new")


class Calibration(unittest.TestCase):
    def test_what_a_run_does_once_does_not_count(self):
        for a_step in [0.01, 0.3, 9.0]:
            asked = []
            cost = lambda steps: asked.append(steps) or 20.0 + a_step * steps
            self.assertAlmostEqual(table.calibrate(cost), a_step)
            self.assertGreaterEqual((asked[-1] - asked[0]) * a_step, table.CALIBRATION)


class Measuring(unittest.TestCase):
    def test_nothing_is_measured_twice_and_a_tokenizer_is_fitted_first(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            folder = Path(folder)
            program = folder / "burn-mim"
            program.write_text(PROGRAM)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            page = folder / "page.md"
            page.write_text(f"{table.BEGIN}\n{table.END}\n")
            args = argparse.Namespace(
                program=program, data="d", on=None, name=None, image_size=None, labels=0.5, minutes=[], seeds=2,
                methods=None, read_outs=table.READ_OUTS, curve=[500], steps=7, results=folder / "results",
                page=page, out=folder / "out",
            )
            self.assertEqual(table.measure(args), [])
            calls = (folder / "calls").read_text().splitlines()
            results = table.load(args.results)
            # Two seeds of three baselines and of two methods.
            self.assertEqual(len(results), 10)
            fitted = next(i for i, call in enumerate(calls) if call.startswith("tokenizer"))
            self.assertIn("--tokenizer", calls[fitted + 1])
            self.assertIn("--train-images 500 --steps 7 --seed 0", calls[fitted + 1])
            self.assertIn("| `beit_small_images` | 500 | 7 | 2 | 30.0 ± 0.0 | 20.0 ± 0.0 ▼ |", page.read_text())
            pixels = [r["scores"] for r in results if r["method"] == "raw pixels"]
            self.assertEqual(pixels[0], {"knn": 25.0, "linear": 25.0, "finetune": 0.5})
            # Without the last two results, those alone are added, by read-outs that are still there.
            kept = args.results.read_text().splitlines()[:-2]
            args.results.write_text("\n".join(kept) + "\n")
            self.assertEqual(table.measure(args), [])
            again = (folder / "calls").read_text().splitlines()[len(calls):]
            self.assertFalse([call for call in again if call.split()[0] in ("evaluate", "tokenizer")], again)
            self.assertEqual(len(table.load(args.results)), 10)

    def test_the_length_is_the_minutes_over_what_a_step_costs(self):
        with tempfile.TemporaryDirectory() as folder:
            method = object.__new__(table.Method)
            method.program, method.out, method.command = "p", Path(folder), ["pretrain"]
            method.known, method.has_tokenizer = Path(folder) / "calibration.json", False
            method.known.write_text(json.dumps({"step": 0.25}))
            calls = []
            original, table.run = table.run, lambda *command: calls.append(command) or (181.0, "", "")
            try:
                trained = method.train(Path(folder) / "a", 5, minutes=3.0)
            finally:
                table.run = original
            self.assertEqual(trained, {"steps": 720, "processor_seconds": 181.0})
            self.assertEqual(len(calls), 1)
            self.assertIn(720, calls[0])


if __name__ == "__main__":
    unittest.main()
