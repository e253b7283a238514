"""Proves the oracle: against values of the authors' released code, and by small cases with known answers.

Needs the shared golden and data folders for some tests: `ADAMIX_SHARED`, or `../shared` beside the workspace. Where
the variable is set a missing file fails, elsewhere the test is skipped. Run: `python tools/test_reference.py -v`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel

import replay_trace
import train_reference
from oracle.encoding import Batch
from oracle.glue import TASKS, find_task, read_split
from oracle.losses import consistency_loss, task_loss
from oracle.mixture import Bank, Classifier, Routes
from oracle.optimizer import HfAdamW, clip_gradients

TOOLS = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("ADAMIX_SHARED", TOOLS.parents[1] / "shared"))
TOLERANCE = 1e-5

torch.set_num_threads(1)


def shared(*parts: str) -> Path:
    """A path in the shared folder; skips or fails as the module's doc says."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        if "ADAMIX_SHARED" in os.environ:
            raise AssertionError(f"{path} is missing")
        raise unittest.SkipTest(f"{path} is not here")
    return path


def our_name(name: str) -> str:
    """A released parameter name in our form."""
    return (name.replace(".ExpertSoup.MoA_A.deepspeed_experts.", ".adamix.down.")
            .replace(".ExpertSoup.MoA_B.deepspeed_experts.", ".adamix.up."))


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest expected value."""
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12)).item()


class ReleasedCode(unittest.TestCase):
    """One training step and the merged evaluation of the authors' own code."""

    def test_every_case(self) -> None:
        folder = shared("golden", "released")
        cases = sorted(p for kind in ("bert", "roberta") for p in folder.glob(f"{kind}-adapter-*.json"))
        self.assertTrue(cases, f"no cases in {folder}")
        for path in cases:
            with self.subTest(path.stem):
                self._check(path)

    def _check(self, path: Path) -> None:
        case = json.loads(path.read_text(encoding="utf-8"))
        tensors = load_file(path.with_suffix(".safetensors"))
        expected = load_file(path.with_suffix(".grads.safetensors"))
        outputs = len(case["merged_logits"][0])
        model = Classifier(
            path.parent / case["model"], outputs=outputs, pooling="pooler", dropout=case["dropout"],
            bottleneck=case["bottleneck"], down=1 if case["share_down"] else case["experts"],
            up=1 if case["share_up"] else case["experts"])
        trained = model.choose_trained("adamix", train_pooler=False)
        tensors = {our_name(n): t for n, t in tensors.items() if "expert_score_weight" not in n}
        self.assertEqual(set(trained), set(tensors))
        with torch.no_grad():
            for name, tensor in tensors.items():
                trained[name].copy_(tensor)
        inputs = {k: torch.tensor(v) for k, v in case["inputs"].items()}
        batch = Batch(inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids"),
                      torch.tensor(case["labels"]))
        views = [model(batch, routes) for routes in self._passes(model, case["draws"])]
        loss = task_loss(views[0], batch.labels)
        if len(views) == 2:
            loss = loss + consistency_loss(*views, detach=True, regression="none")
        loss.backward()
        with torch.no_grad():
            merged = model(batch, None)
        if model.kind == "roberta" and outputs == 1:
            merged = merged.clamp(min=0)
        gradients = {n: p.grad for n, p in trained.items() if p.grad is not None}
        figures = {
            "loss": abs(loss.item() - case["loss"]) / abs(case["loss"]),
            "logits": relative(views[0].detach(), torch.tensor(case["train_logits_pass1"])),
            "merged": relative(merged, torch.tensor(case["merged_logits"])),
            "gradients": max(relative(gradients[our_name(n)], g) for n, g in expected.items()),
        }
        print(path.stem, *(f"{k} {v:.1e}" for k, v in figures.items()), sep="  ")
        self.assertEqual(set(gradients), {our_name(n) for n in expected})
        self.assertEqual(set(trained) - set(gradients), {our_name(n) for n in case["no_gradient"]})
        for figure, difference in figures.items():
            self.assertLess(difference, TOLERANCE, figure)

    @staticmethod
    def _passes(model: Classifier, draws: list[int]) -> list[Routes]:
        """The draws in call order, as routes: down then up in every layer, pass after pass."""
        pairs = [{"down": d, "up": u} for d, u in zip(draws[::2], draws[1::2])]
        layers = len(model.sites)
        return [dict(zip(model.sites, pairs[i:i + layers])) for i in range(0, len(pairs), layers)]


class Banks(unittest.TestCase):
    """Routing and merging of one projection."""

    def test_each_row_goes_to_its_expert(self) -> None:
        torch.manual_seed(1)
        bank, x = Bank(3, 5, 4), torch.randn(2, 7, 5)
        rows = bank(x, [2, 0])
        torch.testing.assert_close(rows[0], bank[2](x[0]))
        torch.testing.assert_close(rows[1], bank[0](x[1]))

    def test_merged_is_the_mean_of_the_outputs(self) -> None:
        torch.manual_seed(1)
        bank, x = Bank(3, 5, 4), torch.randn(2, 7, 5)
        torch.testing.assert_close(bank(x, None), sum(bank(x, e) for e in range(3)) / 3)


class Losses(unittest.TestCase):
    """Consistency against torch's own divergence, and its gradients with and without detached targets."""

    def test_equals_kl_div(self) -> None:
        torch.manual_seed(2)
        a, b = torch.randn(5, 3), torch.randn(5, 3)
        expected = 0.5 * sum(
            nn.functional.kl_div(p.log_softmax(1), q.softmax(1), reduction="batchmean") for p, q in ((a, b), (b, a)))
        for detach in (True, False):
            torch.testing.assert_close(consistency_loss(a, b, detach=detach, regression="none"), expected)

    def test_regression_form(self) -> None:
        a, b = torch.tensor([[1.0], [2.0]], requires_grad=True), torch.tensor([[3.0], [2.0]])
        self.assertEqual(consistency_loss(a, b, detach=True, regression="none").item(), 0.0)
        loss = consistency_loss(a, b, detach=True, regression="mse")
        self.assertEqual(loss.item(), 2.0)
        loss.backward()
        self.assertEqual(a.grad.tolist(), [[-1.0], [0.0]])


class Optimizer(unittest.TestCase):
    """The rules in which it differs from torch's AdamW, and agreement where it does not."""

    @staticmethod
    def _make(unselected: str, weight_decay: float, epsilon: float = 1e-8) -> tuple[nn.Parameter, HfAdamW]:
        p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        return p, HfAdamW({"weight": p}, betas=(0.9, 0.999), epsilon=epsilon, weight_decay=weight_decay,
                          unselected=unselected)

    def test_equals_torch_without_decay_and_epsilon(self) -> None:
        ours, optimizer = self._make("skip", 0.0, epsilon=0.0)
        theirs = nn.Parameter(ours.detach().clone())
        adam = torch.optim.Adam([theirs], lr=0.01, eps=0.0)
        for step in range(1, 6):
            ours.grad = torch.tensor([0.3 * step, -0.1], dtype=torch.float64)
            theirs.grad = ours.grad.clone()
            optimizer.step(0.01)
            adam.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0.0)

    def test_decay_comes_after_the_update(self) -> None:
        p, optimizer = self._make("skip", 0.5, epsilon=0.0)
        p.grad = torch.tensor([4.0, -4.0], dtype=torch.float64)
        optimizer.step(0.1)  # the first update is the rate times the sign
        torch.testing.assert_close(p.detach(), torch.tensor([0.9 * 0.95, -1.9 * 0.95], dtype=torch.float64))

    def test_epsilon_stands_outside_the_bias_correction(self) -> None:
        p, optimizer = self._make("skip", 0.0, epsilon=1.0)
        p.grad = torch.tensor([1.0, 1.0], dtype=torch.float64)
        optimizer.step(1.0)
        update = 0.001**0.5 / 0.1 * 0.1 / (0.001**0.5 + 1.0)
        self.assertAlmostEqual(p[0].item(), 1.0 - update, places=12)

    def test_epsilon_behind_the_correction_equals_torch(self) -> None:
        ours, optimizer = self._make("skip", 0.0, epsilon=0.1)
        optimizer.epsilon_placement = "corrected"
        theirs = nn.Parameter(ours.detach().clone())
        adam = torch.optim.AdamW([theirs], lr=0.01, eps=0.1, weight_decay=0.0)
        for step in range(1, 6):
            ours.grad = torch.tensor([0.3 * step, -0.1], dtype=torch.float64)
            theirs.grad = ours.grad.clone()
            optimizer.step(0.01)
            adam.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0.0)

    def test_absent_gradient(self) -> None:
        moved = {}
        for rule in ("zero-grad", "skip"):
            p, optimizer = self._make(rule, 0.1)
            optimizer.step(0.1)  # never had a gradient: nothing happens under either rule
            self.assertEqual(p.tolist(), [1.0, -2.0])
            p.grad = torch.ones(2, dtype=torch.float64)
            optimizer.step(0.1)
            before = p.detach().clone()
            optimizer.zero_grad()
            optimizer.step(0.1)
            moved[rule] = not torch.equal(before, p)
            self.assertEqual(optimizer.state["weight"][0], 2 if rule == "zero-grad" else 1)
        self.assertEqual(moved, {"zero-grad": True, "skip": False})

    def test_clipping_is_global(self) -> None:
        a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        a.grad, b.grad = torch.tensor([3.0]), torch.tensor([4.0])
        self.assertEqual(clip_gradients({"a": a, "b": b}, 1.0), 5.0)
        self.assertAlmostEqual(a.grad.item(), 0.6, places=5)
        self.assertAlmostEqual(b.grad.item(), 0.8, places=5)


class Files(unittest.TestCase):
    """Row counts of the official files."""

    def test_row_counts(self) -> None:
        root = shared("data", "glue")
        expected = {"cola": (8551, 1043), "sst-2": (67349, 872), "mrpc": (3667, 408), "sts-b": (5749, 1500),
                    "rte": (2490, 277), "wnli": (635, 71)}
        for name, counts in expected.items():
            task = find_task(name)
            found = tuple(len(read_split(root, task, split)) for split in ("train", "dev"))
            self.assertEqual(found, counts, name)
        first = read_split(root, TASKS["mrpc"], "train")[0]
        self.assertEqual(first.label, 1)
        self.assertTrue(first.texts[0].startswith("Amrozi accused his brother , whom he called \" the witness"))


class TracedRun(unittest.TestCase):
    """The scripts together, on a tiny random model: a true trace is followed, a false one is found out."""

    CONFIG = """
seed = 3
task = "{task}"
data = "{root}"
model = "{root}/base"
[input]
max_length = 16
[backbone]
pooling = "{pooling}"
train_pooler = {train_pooler}
dropout = 0.0
[adaptation]
method = "{method}"
bottleneck = 4
experts = 3
share = "{share}"
[consistency]
weight = 2.0
detach = {detach}
regression = "mse"
[optimizer]
learning_rate = 0.01
unselected = "{unselected}"
[schedule]
epochs = 2
batch_size = 4
accumulation = 2
"""
    CASES = [
        ("mrpc", "pooler", "true", "adamix", "up", "true", "zero-grad"),
        ("mrpc", "cls", "false", "adamix", "none", "false", "skip"),
        ("sts-b", "mean", "false", "adamix", "down", "true", "zero-grad"),
        ("mrpc", "mean", "false", "adapter", "up", "true", "zero-grad"),
        ("mrpc", "mean", "false", "head", "up", "true", "zero-grad"),
        ("mrpc", "pooler", "true", "full", "up", "true", "zero-grad"),
    ]
    WORDS = "a b c d e f g h i j k l".split()

    def test_replay(self) -> None:
        for case in self.CASES:
            with self.subTest(case), tempfile.TemporaryDirectory() as name:
                root = Path(name)
                run = self._train(root, case)
                code, text = self._replay(run)
                self.assertEqual(code, 0, text)
                self.assertIn("agrees", text)
                trace = run / "trace.jsonl"
                lines = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
                lines[1]["lr"] *= 1.5
                trace.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
                self.assertEqual(self._replay(run)[0], 1)

    def test_a_wrong_route_is_found(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            run = self._train(Path(name), self.CASES[0])
            trace = run / "trace.jsonl"
            lines = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
            route = lines[2]["micro"][0]["passes"][0]["bert.encoder.layer.0.output"]
            route["down"] = (route["down"] + 1) % 3
            trace.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            self.assertEqual(self._replay(run)[0], 1)

    def test_unusable_run_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            run = self._train(Path(name), self.CASES[0])
            config = (run / "run.toml").read_text(encoding="utf-8")
            (run / "run.toml").write_text(config.replace("dropout = 0.0", "dropout = 0.1"), encoding="utf-8")
            code, text = self._replay(run)
            self.assertEqual(code, 2)
            self.assertIn("dropout", text)

    def _train(self, root: Path, case: tuple[str, ...]) -> Path:
        """A tiny model and task in `root`, and a traced run of train_reference.py on them."""
        keys = ("task", "pooling", "train_pooler", "method", "share", "detach", "unselected")
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(self.WORDS) + 4, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                            intermediate_size=24, max_position_embeddings=20, initializer_range=0.3)
        BertModel(config).save_pretrained(root / "base")
        vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *self.WORDS])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        tokenizer.save(str(root / "base" / "tokenizer.json"))
        task = find_task(case[0])
        for split, rows in (("train", 18), ("dev", 6)):
            self._write_rows(root / f"{split}.tsv", task.texts, task.label, rows)
        path = root / "config.toml"
        path.write_text(self.CONFIG.format(root=root, **dict(zip(keys, case))), encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            train_reference.main([str(path), "--out", str(root / "run"), "--trace"])
        return root / "run"

    def _write_rows(self, path: Path, texts: tuple[str, ...], label: str, rows: int) -> None:
        lines = ["\t".join((*texts, label))]
        for i in range(rows):
            cells = [" ".join(self.WORDS[(i * k + j) % 12] for j in range(2 + (i + k) % 6)) for k in (5, 7)]
            lines.append("\t".join((*cells, str(i % 2))))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @staticmethod
    def _replay(run: Path) -> tuple[int, str]:
        """Exit code and everything printed."""
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            code = replay_trace.main([str(run)])
        return code, text.getvalue()


if __name__ == "__main__":
    unittest.main()
