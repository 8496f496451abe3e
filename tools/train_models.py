"""Train the embedded models and write their weights: `make models`, or `--only nano --out folder`.

Needs the `train` extra (PyTorch, CPU). Not covered: the same bits again. The seeds fix the data and the initial
weights; arithmetic in another order of operations (other CPU, other thread count) gives other weights of the
same ability.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measure_models import measure_all
from torch.nn import functional
from training_data import CHOOSING, GROUND, Corpus, Mix, corpus, vocabulary
from training_net import Net

from steelyard.contestants.embedded.shape import Shape
from steelyard.contestants.embedded.tokenizer import PAD, Tokenizer
from steelyard.contestants.embedded.weights import GROUP, quantise

DATA_SEED = 20261122
MEASURED = 300
QUANTISED = "small"
VOCABULARY_SEED = 7
OUT = Path(__file__).resolve().parents[1] / "src" / "steelyard" / "contestants" / "embedded" / "weights"


@dataclass(frozen=True)
class Recipe:
    """One model: its shape and how long it learns. Conversations are met once each, in order.

    `ground` of them teach answers; `choosing` then teach multiple choice at half the rates (`training_data.Mix`), if any.
    """

    width: int
    layers: int
    heads: int
    ground: int
    choosing: int
    batch_tokens: int
    muon_rate: float
    adam_rate: float
    seed: int = 1


RECIPES = {
    "nano": Recipe(48, 2, 2, 200_000, 0, 4096, 0.02, 0.01),
    "micro": Recipe(96, 3, 4, 250_000, 50_000, 4096, 0.02, 0.006),
    "small": Recipe(128, 6, 4, 260_000, 50_000, 4096, 0.02, 0.005),
}


def batches(data: Corpus, batch_tokens: int, seed: int):
    """(ids, targets, learn) of similar lengths, at most `batch_tokens` tokens each, in random order."""
    rng = np.random.default_rng(seed)
    lengths = np.diff(data.starts)
    usable = np.flatnonzero(lengths <= 256)
    for chunk in np.array_split(usable, max(1, len(usable) // 20_000)):
        ordered = chunk[np.argsort(lengths[chunk], kind="stable")]
        made, at = [], 0
        while at < len(ordered):
            n = 1
            while at + n < len(ordered) and (n + 1) * lengths[ordered[at + n]] <= batch_tokens:
                n += 1
            made.append(ordered[at : at + n])
            at += n
        for i in rng.permutation(len(made)):
            yield pad(data, made[i], int(lengths[made[i]].max()))


def pad(data: Corpus, rows, width: int):
    ids = np.full((len(rows), width), PAD, np.int64)
    learn = np.zeros((len(rows), width), np.uint8)
    for r, i in enumerate(rows):
        a, b = data.starts[i], data.starts[i + 1]
        ids[r, : b - a] = data.ids[a:b]
        learn[r, : b - a] = data.learn[a:b]
    # position t predicts token t + 1
    return torch.from_numpy(ids[:, :-1]), torch.from_numpy(ids[:, 1:]), torch.from_numpy(learn[:, 1:])


def train(net: Net, recipe: Recipe, data: Corpus, mix: Mix, pace: float) -> dict:
    """One phase: every batch once, at `pace` times the recipe's rates. Returns what the card says of it."""
    muon = torch.optim.Muon(
        [p for b in net.blocks for p in b.parameters()], lr=recipe.muon_rate, weight_decay=0.0, momentum=0.95
    )
    adam = torch.optim.Adam([net.embed.weight], lr=recipe.adam_rate, betas=(0.9, 0.98))
    total = sum(1 for _ in batches(data, recipe.batch_tokens, recipe.seed))
    began, began_cpu, tokens, smooth = time.monotonic(), time.process_time(), 0, 0.0
    for step, (ids, targets, learn) in enumerate(batches(data, recipe.batch_tokens, recipe.seed)):
        scale = pace * min(1.0, (step + 1) / 100) * min(1.0, (total - step) / (0.6 * total))
        for optimiser, rate in ((muon, recipe.muon_rate), (adam, recipe.adam_rate)):
            optimiser.param_groups[0]["lr"] = rate * scale
        loss = loss_of(net, ids, targets, learn)
        loss.backward()
        for optimiser in (muon, adam):
            optimiser.step()
            optimiser.zero_grad()
        tokens += ids.numel()
        smooth = 0.98 * smooth + 0.02 * loss.item()
        if step % 100 == 99:
            spent = time.monotonic() - began
            mean = smooth / (1 - 0.98 ** (step + 1))
            print(
                f"width {recipe.width} {step + 1}/{total} loss {mean:.4f} {tokens / spent:.0f} tokens/s {spent:.0f} s",
                flush=True,
            )
    return {
        "mix": asdict(mix),
        "steps": total,
        "tokens": tokens,
        "seconds": round(time.monotonic() - began),
        "cpu_seconds": round(time.process_time() - began_cpu),
        "final_loss": round(smooth, 4),
    }


def loss_of(net: Net, ids: torch.Tensor, targets: torch.Tensor, learn: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the learned tokens, weighted by `learn`."""
    said = learn > 0
    with torch.amp.autocast("cpu", dtype=torch.bfloat16):
        logits = net(ids, said)
    weights = learn[said]
    if weights.min() == weights.max():
        return functional.cross_entropy(logits.float(), targets[said])
    losses = functional.cross_entropy(logits.float(), targets[said], reduction="none")
    return (losses * weights.float()).sum() / weights.sum()


def weights_of(net: Net) -> dict[str, torch.Tensor]:
    """The weights under the names that the NumPy model reads."""
    named = {"embed": net.embed.weight}
    for i, block in enumerate(net.blocks):
        named |= {f"{i}.{part}": getattr(block, part).weight for part in ("qkv", "out", "up", "down")}
    return named


def arrays_of(net: Net) -> dict[str, np.ndarray]:
    """The weights in float16."""
    return {k: v.detach().numpy().astype(np.float16) for k, v in weights_of(net).items()}


def publish(name: str, arrays: dict, tokenizer: Tokenizer, folder: Path, facts: dict) -> None:
    """Write `<name>.npz`, measure what it can do with NumPy, and write its card."""
    words = np.frombuffer("\x00".join(tokenizer.words).encode(), np.uint8)
    path = folder / f"{name}.npz"
    np.savez(path, words=words, **arrays)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"name": name, "sha256": sha, "bytes": path.stat().st_size, **facts}
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    card |= measure_all(name, folder, MEASURED)
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")


def publish_both(name: str, arrays: dict, tokenizer: Tokenizer, folder: Path, facts: dict) -> None:
    """A model, and its 4-bit copy when it is the one that has one."""
    publish(f"steelyard-{name}", arrays, tokenizer, folder, facts)
    if name == QUANTISED:
        packed: dict[str, np.ndarray] = {}
        for key, value in arrays.items():
            packed |= {f"{key}.{part}": a for part, a in quantise(value).items()}
        copy = {"copy_of": f"steelyard-{name}", "bits": 4, "group": GROUP}
        publish(f"steelyard-{name}-q4", packed, tokenizer, folder, {**facts, **copy})


def card_facts(recipe: Recipe, shape: Shape) -> dict:
    """What the card says besides the results: the shape, and everything that fixes the training."""
    return {
        "shape": asdict(shape),
        "parameters": shape.parameters,
        "recipe": asdict(recipe),
        "data_seed": DATA_SEED,
        "vocabulary_seed": VOCABULARY_SEED,
        "torch": torch.__version__,
    }


def after_ground(name: str, recipe: Recipe, tokenizer: Tokenizer, kept: Path | None) -> tuple[Net, dict]:
    """The network after the first phase, rounded to float16, and what the card says of it.

    Read from the folder `kept` when it is there (`steelyard-<name>.npz` and `.json`), else trained, and written there.
    """
    torch.manual_seed(recipe.seed)
    net = Net(Shape(tokenizer.size, recipe.width, recipe.layers, recipe.heads))
    path = None if kept is None else kept / f"steelyard-{name}.npz"
    if path is not None and path.exists():
        arrays = dict(np.load(path))
        done = json.loads(path.with_suffix(".json").read_text())["training"]
    else:
        done = train(net, recipe, corpus(tokenizer, recipe.ground, DATA_SEED), GROUND, 1.0)
        arrays = arrays_of(net)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **arrays)
            path.with_suffix(".json").write_text(json.dumps({"training": done}))
    with torch.no_grad():
        for key, weight in weights_of(net).items():
            weight.copy_(torch.from_numpy(arrays[key].astype(np.float32)))
    return net, done


def make(name: str, folder: Path, kept: Path | None) -> None:
    """Train, measure and write one model, on one core."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer(vocabulary(VOCABULARY_SEED))
    recipe = RECIPES[name]
    net, ground = after_ground(name, recipe, tokenizer, kept)
    training = {"ground": ground}
    if recipe.choosing:
        data = corpus(tokenizer, recipe.choosing, DATA_SEED + 1, CHOOSING)
        training["choosing"] = train(net, recipe, data, CHOOSING, 0.5)
    facts = {**card_facts(recipe, net.shape), "training": training}
    publish_both(name, arrays_of(net), tokenizer, folder, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=RECIPES, action="append")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--jobs", type=int, default=2, help="models trained side by side, each on one core")
    parser.add_argument("--ground", type=Path, help="keep (and find) the weights after the first phase here")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # the largest first: it takes as long as the two others together
    names = args.only or list(reversed(RECIPES))
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(make, name, args.out, args.ground) for name in names]:
            done.result()


if __name__ == "__main__":
    main()
