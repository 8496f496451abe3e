"""The training side: the PyTorch network computes what NumPy computes; conversations hold no evaluation problem."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from steelyard.contestants.embedded.model import Model
from steelyard.contestants.embedded.shape import Shape
from steelyard.contestants.embedded.tokenizer import ASSISTANT, BOS, END, Tokenizer
from steelyard.contestants.embedded.weights import load
from steelyard.tasks.builtin.makers.base import Family
from steelyard.tasks.builtin.suites import tasks

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(autouse=True)
def _tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def test_training_conversations_never_ask_a_shipped_task() -> None:
    from training_data import conversation

    # the largest-number question is one text with many options; it is told apart by its options elsewhere
    suites: tuple[Family, ...] = ("arithmetic", "strings", "facts")
    asked = {row["input"] for family in suites for row in tasks(family)}
    rng = random.Random(3)
    for _ in range(6000):
        for role, text in conversation(rng):
            if role == "user":
                bare = text.removeprefix("Question: ").removeprefix("Please answer: ").split("\n")[0]
                bare = bare.removesuffix(" Answer with one word.")
                assert bare not in asked, text


def test_only_answers_and_their_end_are_learned() -> None:
    from training_data import corpus

    tokenizer = load("steelyard-nano").tokenizer
    data = corpus(tokenizer, 300, 1)
    for a, b in zip(data.starts[:-1], data.starts[1:], strict=True):
        ids, learn = data.ids[a:b], data.learn[a:b]
        assert ids[0] == BOS
        assert ids[-1] == END
        speaking = False
        for token, learned in zip(ids, learn, strict=True):
            assert learned == speaking
            speaking = (speaking and token != END) or token == ASSISTANT


def test_vocabulary_is_that_of_the_shipped_models() -> None:
    from training_data import vocabulary

    assert Tokenizer(vocabulary(7)).words == load("steelyard-small").tokenizer.words


def test_pytorch_and_numpy_compute_the_same_logits() -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra (PyTorch)")
    from training_net import Net

    torch.manual_seed(0)
    shape = Shape(300, 32, 3, 4, context=64)
    net = Net(shape)
    arrays = {"embed": net.embed.weight}
    for i, block in enumerate(net.blocks):
        for part in ("qkv", "out", "up", "down"):
            torch.nn.init.normal_(getattr(block, part).weight, std=0.2)
            arrays[f"{i}.{part}"] = getattr(block, part).weight
    model = Model(shape, {k: v.detach().numpy() for k, v in arrays.items()})
    tokens = np.random.default_rng(0).integers(0, 300, 50)
    with torch.no_grad():
        wanted = net(torch.from_numpy(tokens)[None], torch.ones(1, 50, dtype=torch.bool)).numpy()
    np.testing.assert_allclose(model.slow_logits(tokens), wanted, rtol=1e-3, atol=1e-3)
