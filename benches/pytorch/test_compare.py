"""Tests of compare: what it runs, what it refuses, and that it measures nothing twice; nothing is timed."""

import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
LOADER = importlib.machinery.SourceFileLoader("compare", str(FOLDER / "compare"))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", LOADER))
LOADER.exec_module(compare)


def chosen(line: str) -> list[str]:
    with mock.patch.object(sys, "argv", ["compare", *line.split()]):
        return compare.chosen(*compare.arguments())


def answer(images_per_s: float, **more) -> dict:
    fixed = {"parameters": 10, "loss_first": 1.0, "step_s_median": 2.0, "peak_rss_mb": 100.0}
    return fixed | {"images_per_s": images_per_s, "peak_flop_per_s": 4e9} | more


class Compare(unittest.TestCase):
    def test_a_method_and_an_encoder_choose_cases_and_flags_of_sizes_choose_none(self):
        self.assertEqual(chosen(""), ["mae-tiny"])
        self.assertEqual(chosen("--method simmim --pairs 2"), ["simmim-tiny"])
        self.assertEqual(chosen("--method simmim --encoder swin-v2"), ["simmim-swin-v2"])
        self.assertEqual(chosen("--method beit --batch 8"), ["beit"])
        self.assertEqual(chosen("--method fcmae --inference"), ["convnext-inference"])
        self.assertEqual(chosen("--method mae --image-size 224 --patch-size 16"), [])
        self.assertEqual(len(chosen("--all")), len(compare.CASES) + 1)
        with self.assertRaises(SystemExit):
            chosen("--method nothing")

    def test_another_network_or_another_loss_is_refused(self):
        case = compare.CASES["selfie"]
        compare.checked(case, answer(1.0), answer(1.0))
        with self.assertRaisesRegex(compare.Fault, "10 parameters and 11"):
            compare.checked(case, answer(1.0), answer(1.0, parameters=11))
        with self.assertRaisesRegex(compare.Fault, "first losses of 1.0000 and 2.0000"):
            compare.checked(case, answer(1.0), answer(1.0, loss_first=2.0))

    def test_a_record_is_gone_on_with_and_its_table_put_between_the_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            record, page = Path(folder) / "record.jsonl", Path(folder) / "page.md"
            args = argparse.Namespace(pairs=2, record=record, user=False)
            ran = []

            def pair(name, _):
                ran.append(name)
                if name == "vq" and len(ran) < 4:
                    raise compare.Fault("took too long")
                return answer(30.0), answer(20.0, flop=2e9, peak_rss_mb=200.0)

            with mock.patch.object(compare, "pair", pair), contextlib.redirect_stdout(io.StringIO()):
                compare.run(["vq", "selfie"], args)
                self.assertEqual(ran, ["vq", "selfie", "vq", "selfie"])
                lines = compare.run(["vq", "selfie"], args)
            self.assertEqual(ran[4:], ["vq", "vq"])
            self.assertEqual(len(record.read_text().splitlines()), len(lines))
            self.assertIn("fault", json.loads(record.read_text().splitlines()[0]))
            page.write_text("before\n" + compare.MARKERS[0] + "old\n" + compare.MARKERS[1] + "\nafter\n")
            compare.write(page, lines)
            text = page.read_text()
            self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text)
            # 2 GFLOP in 2 s of 4 GFLOP/s.
            self.assertIn("| Selfie, small, 32×32 | 64 | 30 | 1.50 | 1.50, 1.50 | 0.50 | 25 % |", text)


if __name__ == "__main__":
    unittest.main()
