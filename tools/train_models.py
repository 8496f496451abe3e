"""Train the embedded models and write their weights: `make models`, or `--only nano --out folder`.

Needs the `train` extra (PyTorch, CPU). The seeds fix the data and the initial weights; arithmetic in another
order of operations (other CPU, other thread count) gives other weights of the same ability.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from training_data import Corpus, corpus, vocabulary
from training_net import Net

from steelyard.contestants.embedded.shape import Shape
from steelyard.contestants.embedded.tokenizer import PAD, Tokenizer

DATA_SEED = 20261122
VOCABULARY_SEED = 7
OUT = Path(__file__).resolve().parents[1] / "src" / "steelyard" / "contestants" / "embedded" / "weights"


@dataclass(frozen=True)
class Recipe:
    """One model: its shape and how long it learns. `conversations` are met once each, in order."""

    width: int
    layers: int
    heads: int
    conversations: int
    batch_tokens: int
    muon_rate: float
    adam_rate: float
    seed: int = 1


RECIPES = {
    "nano": Recipe(48, 2, 2, 200_000, 4096, 0.02, 0.01),
    "micro": Recipe(96, 3, 4, 250_000, 4096, 0.02, 0.006),
    "small": Recipe(128, 6, 4, 260_000, 4096, 0.02, 0.005),
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
    learn = np.zeros((len(rows), width), bool)
    for r, i in enumerate(rows):
        a, b = data.starts[i], data.starts[i + 1]
        ids[r, : b - a] = data.ids[a:b]
        learn[r, : b - a] = data.learn[a:b]
    # position t predicts token t + 1
    return torch.from_numpy(ids[:, :-1]), torch.from_numpy(ids[:, 1:]), torch.from_numpy(learn[:, 1:])


def train(name: str, recipe: Recipe, tokenizer: Tokenizer, data: Corpus) -> tuple[Net, dict]:
    torch.manual_seed(recipe.seed)
    net = Net(Shape(tokenizer.size, recipe.width, recipe.layers, recipe.heads))
    muon = torch.optim.Muon(
        [p for b in net.blocks for p in b.parameters()], lr=recipe.muon_rate, weight_decay=0.0, momentum=0.95
    )
    adam = torch.optim.Adam([net.embed.weight], lr=recipe.adam_rate, betas=(0.9, 0.98))
    total = sum(1 for _ in batches(data, recipe.batch_tokens, recipe.seed))
    bf16 = torch.amp.autocast("cpu", dtype=torch.bfloat16)
    began, tokens, smooth = time.monotonic(), 0, 0.0
    for step, (ids, targets, learn) in enumerate(batches(data, recipe.batch_tokens, recipe.seed)):
        scale = min(1.0, (step + 1) / 100) * min(1.0, (total - step) / (0.6 * total))
        for optimiser, rate in ((muon, recipe.muon_rate), (adam, recipe.adam_rate)):
            optimiser.param_groups[0]["lr"] = rate * scale
        with bf16:
            logits = net(ids, learn)
        loss = functional.cross_entropy(logits.float(), targets[learn])
        loss.backward()
        for optimiser in (muon, adam):
            optimiser.step()
            optimiser.zero_grad()
        tokens += ids.numel()
        smooth = 0.98 * smooth + 0.02 * loss.item()
        if step % 100 == 99:
            spent = time.monotonic() - began
            mean = smooth / (1 - 0.98 ** (step + 1))
            rate = tokens / spent
            print(f"{name} {step + 1}/{total} loss {mean:.4f} {rate:.0f} tokens/s {spent:.0f} s", flush=True)
    return net, {
        "steps": total,
        "tokens": tokens,
        "seconds": round(time.monotonic() - began),
        "final_loss": round(smooth, 4),
    }


def save(name: str, net: Net, tokenizer: Tokenizer, folder: Path, facts: dict) -> None:
    arrays = {"embed": net.embed.weight}
    for i, b in enumerate(net.blocks):
        arrays |= {
            f"{i}.qkv": b.qkv.weight,
            f"{i}.out": b.out.weight,
            f"{i}.up": b.up.weight,
            f"{i}.down": b.down.weight,
        }
    whole = {k: v.detach().numpy().astype(np.float16) for k, v in arrays.items()}
    write(name, whole, tokenizer, folder, {"shape": asdict(net.shape), **facts})


def write(name: str, arrays: dict, tokenizer: Tokenizer, folder: Path, facts: dict) -> None:
    words = np.frombuffer("\x00".join(tokenizer.words).encode(), np.uint8)
    path = folder / f"steelyard-{name}.npz"
    np.savez(path, words=words, **arrays)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"name": f"steelyard-{name}", "sha256": sha, **facts}
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=RECIPES, action="append")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--conversations", type=int)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(vocabulary(VOCABULARY_SEED))
    for name in args.only or RECIPES:
        recipe = RECIPES[name]
        data = corpus(tokenizer, args.conversations or recipe.conversations, DATA_SEED)
        net, facts = train(name, recipe, tokenizer, data)
        save(name, net, tokenizer, args.out, facts)
        print(name, net.shape.parameters, facts)


if __name__ == "__main__":
    main()
