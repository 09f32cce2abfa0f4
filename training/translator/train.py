"""Train the translator that ships with the package, from the domains and phrases in this folder.

    python -m training.translator.train --out runs/translator --minutes 60 --seed 0

Resumes from the last checkpoint in `--out`; `--export` writes the int8 weights where the package reads them.
Settings were chosen on the domains held out here (`HELD_OUT`), never on `tests/data`.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing as mp
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from gedanken.prompts.embeddings import load_encoder
from gedanken.prompts.reader.codec import START, STOP, WORD_ID
from gedanken.prompts.reader.network import MAX_OUTPUT, Network, Question, parameters
from gedanken.prompts.reader.reading import Prepared, Preparer, collate
from gedanken.world.items import items_of
from gedanken.world.rules.parse import RuleError
from gedanken.world.schema_file import schema_from

from .domain import Domain, load
from .generate import pairs
from .targets import target

HERE = Path(__file__).parent
BATCH = 32
FROZEN = 2    # layers of MiniLM that stay as they are, beside its embeddings
HELD_OUT = ("a05", "a13", "a21", "a29", "b04", "b12", "b20", "b28")


Source = Callable[[int], Iterator[tuple[Prepared, list[int]]]]
"""An endless stream of prepared examples, by its seed."""


def domains(held_out: bool = False) -> list[Domain]:
    """The hand-written domains: those to learn from, or those held out."""
    stems = [f.stem for f in sorted((HERE / "domains").glob("*.json"))]
    return [d for d, stem in zip(load(HERE / "domains"), stems, strict=True) if (stem in HELD_OUT) == held_out]


def new_network(encoder: Any) -> Network:
    bert = copy.deepcopy(encoder[0].auto_model)
    bert.pooler = None
    for part in (bert.embeddings, *bert.encoder.layer[:FROZEN]):
        part.requires_grad_(False)
    for module in bert.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return Network(bert)


def example(preparer: Preparer, schema: dict[str, Any], sentence: str, rules: tuple[str, ...]
            ) -> tuple[Prepared, list[int]] | None:
    """A prepared pair, or None where its rules cannot be written from its sentence."""
    known = schema_from(schema)
    p = preparer.prepare(sentence, items_of(known))
    try:
        ids = target(rules, known, p)
    except (RuleError, ValueError):
        return None
    return (p, ids) if len(ids) < MAX_OUTPUT - 2 else None


def prepared(raw: Iterable[tuple[dict[str, Any], str, tuple[str, ...]]]) -> Iterator[tuple[Prepared, list[int]]]:
    """Of (schema, text, rules) those that can be written, prepared."""
    torch.set_num_threads(1)
    preparer = Preparer(load_encoder("local"))
    for schema, text, rules in raw:
        made = example(preparer, schema, text, rules)
        if made is not None:
            yield made


def examples(seed: int) -> Iterator[tuple[Prepared, list[int]]]:
    """Prepared sentences of the domains to learn from."""
    return prepared((pair.schema, pair.sentence, pair.rules) for pair in pairs(domains(), seed))


def batch(made: list[tuple[Prepared, list[int]]]) -> tuple[Question, torch.Tensor]:
    """A question of B rows and its targets `[B, T]` with start and stop, -1 after it."""
    q = collate([p for p, _ in made])
    m = q.types.shape[1]
    out = torch.full((len(made), max(len(ids) for _, ids in made) + 2), -1)
    for i, (p, ids) in enumerate(made):
        shift = m - len(p.types)    # numbers follow the padded items
        moved = [x + shift if x >= p.codec.first_number else x for x in ids]
        out[i, : len(ids) + 2] = torch.tensor([WORD_ID[START], *moved, WORD_ID[STOP]])
    return q, out


def _feed(queue: Any, source: Source, seed: int) -> None:
    torch.set_num_threads(1)
    made: list[tuple[Prepared, list[int]]] = []
    rng = np.random.default_rng(seed)
    for one in source(seed):
        made.append(one)
        if len(made) == 16 * BATCH:
            made.sort(key=lambda m: len(m[0].tokens) + len(m[0].types) / 2 + 2 * len(m[1]))
            for k in rng.permutation(16):
                q, out = batch(made[k * BATCH : (k + 1) * BATCH])
                queue.put(([t.numpy() for t in vars(q).values()], out.numpy()))
            made = []


def regularised(q: Question, rng: torch.Generator) -> Question:
    """Hide channels of the links and descriptions of items now and then, so that nothing is relied on alone."""
    b, m = q.types.shape
    keep = torch.rand(b, 1, 1, q.links.shape[-1], generator=rng) > 0.08
    half = q.items.shape[-1] // 2
    plain = torch.rand(b, m, 1, generator=rng) < 0.1
    items = torch.where(plain, torch.cat([q.items[..., :half]] * 2, -1), q.items)
    return Question(q.tokens, items, q.types, q.owners, q.links * keep, q.places, q.forms)


def loss_of(network: Network, q: Question, out: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        logits = network.write(network.read(q), out[:, :-1].clamp_min(0))
    return F.cross_entropy(logits.flatten(0, 1).float(), out[:, 1:].flatten(), ignore_index=-1)


def options(out: str, steps: int) -> argparse.ArgumentParser:
    """What every training run is told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=steps, help="length of the learning-rate schedule")
    return parser


def main() -> None:
    train(options("runs/translator", 3000).parse_args(), examples)


def train(args: argparse.Namespace, source: Source, start: Path | None = None) -> Network:
    """Learn from `source(seed)` (a function of a module, for another process runs it), from the weights in `start` or,
    where there is one, from the last checkpoint in `args.out`."""
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    network = new_network(load_encoder("local")).train()
    tuned = [p for n, p in network.named_parameters() if n.startswith("bert") and p.requires_grad]
    new = [p for n, p in network.named_parameters() if not n.startswith("bert")]
    groups = [{"params": tuned, "lr": 1e-4}, {"params": new, "lr": 5e-4}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)
    step, saved = 0, args.out / "state.safetensors"
    if start is not None and not saved.exists():
        network.load_state_dict(load_file(start), strict=False)
    if saved.exists():
        network.load_state_dict(load_file(saved), strict=False)
        progress = torch.load(args.out / "optimizer.pt", weights_only=True)
        step = progress["step"]
        optimizer.load_state_dict(progress["optimizer"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: _rate(k + step, args.steps))
    queue: Any = mp.get_context("spawn").Queue(maxsize=64)
    feeder = mp.get_context("spawn").Process(target=_feed, args=(queue, source, args.seed * 1000 + step), daemon=True)
    feeder.start()
    rng = torch.Generator().manual_seed(args.seed + step)
    began, losses, seen = time.monotonic(), [], 0
    try:
        while time.monotonic() - began < 60 * args.minutes and step < args.steps:
            arrays, out = queue.get()
            q = regularised(Question(*map(torch.from_numpy, arrays)), rng)
            loss = loss_of(network, q, torch.from_numpy(out))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            seen += len(out)
            losses.append(loss.item())
            if step % 50 == 0:
                pace = seen / (time.monotonic() - began)
                mean = np.mean(losses[-50:])
                print(f"step {step}: loss {mean:.3f}, {pace:.0f} pairs/s, {queue.qsize()} ready", flush=True)
            if step % 250 == 0:
                _save(args.out, network, optimizer, step)
    except KeyboardInterrupt:
        pass
    finally:
        feeder.kill()
        _save(args.out, network, optimizer, step)
    return network


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / 150) * max(0.02, 1 - step / steps)


def _save(folder: Path, network: Network, optimizer: torch.optim.Optimizer, step: int) -> None:
    save_file({k: v.contiguous() for k, v in parameters(network).items()}, folder / "state.new")
    torch.save({"optimizer": optimizer.state_dict(), "step": step}, folder / "optimizer.new")
    (folder / "state.new").replace(folder / "state.safetensors")
    (folder / "optimizer.new").replace(folder / "optimizer.pt")


if __name__ == "__main__":
    main()
