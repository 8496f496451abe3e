"""The training side: the PyTorch network computes what NumPy computes; conversations hold no evaluation problem."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from steelyard.contestants.embedded.model import Model
from steelyard.contestants.embedded.shape import Shape
from steelyard.contestants.embedded.tokenizer import ASSISTANT, BOS, END, USER, Tokenizer
from steelyard.contestants.embedded.weights import load
from steelyard.tasks.builtin.makers.base import Family
from steelyard.tasks.builtin.suites import tasks

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(autouse=True)
def _tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def test_training_conversations_never_ask_a_shipped_task() -> None:
    from training_data import CHOOSING, GROUND, conversation

    # the largest-number question is one text with many options; it is told apart by its options elsewhere
    suites: tuple[Family, ...] = ("arithmetic", "strings", "facts")
    asked = {row["input"] for family in suites for row in tasks(family)}
    rng = random.Random(3)
    for i in range(6000):
        for role, text in conversation(rng, (GROUND, CHOOSING)[i % 2]):
            if role == "user":
                bare = text.removeprefix("Question: ").removeprefix("Please answer: ").split("\n")[0]
                bare = bare.removesuffix(" Answer with one word.")
                assert bare not in asked, text


@pytest.mark.parametrize("phase", ["GROUND", "CHOOSING"])
def test_answers_alone_are_learned_and_those_to_options_by_their_own_weight(phase: str) -> None:
    import training_data

    mix = getattr(training_data, phase)
    tokenizer = load("steelyard-nano").tokenizer
    data = training_data.corpus(tokenizer, 600, 1, mix)
    choices = 0
    for a, b in zip(data.starts[:-1], data.starts[1:], strict=True):
        ids, learn = data.ids[a:b], data.learn[a:b]
        assert ids[0] == BOS
        assert ids[-1] == END
        speaking = listing = False
        for i, (token, weight) in enumerate(zip(ids, learn, strict=True)):
            listing = token != USER and (listing or tokenizer.decode([token]) in ("\nA)", "\nA.", "\n(A)"))
            wanted = (mix.chosen if listing else mix.answer) if speaking else 0
            assert weight == wanted, (i, tokenizer.decode(ids))
            choices += speaking and listing
            speaking = (speaking and token != END) or token == ASSISTANT
    assert choices > 50


def test_an_option_is_answered_in_its_words_unless_its_letter_is_asked_for() -> None:
    from training_data import CHOOSING, conversation

    rng = random.Random(8)
    letters = words = 0
    for _ in range(600):
        said = [text for role, text in conversation(rng, CHOOSING) if role != "system"]
        for asked, answer in zip(said[::2], said[1::2], strict=True):
            lines = asked.split("\n")
            if len(lines) < 5:
                continue
            if len(lines) == 5:
                assert answer in {line.split(" ", 1)[1] for line in lines[1:]}
                words += 1
            else:
                assert answer in "ABCD"
                letters += 1
    assert words > 5 * letters > 50


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
