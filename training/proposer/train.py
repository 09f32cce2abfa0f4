"""Train the proposer that ships with the package: the translator's network, to read surprises in words.

    python -m training.proposer.train --start runs/translator/state.safetensors --minutes 20 --export

Resumes from the last checkpoint in `--out`, else starts from `--start`, a checkpoint of the translator: a surprise
in words reads much like a sentence. `--export` writes the int8 weights where the package reads them. The domains held
out for the translator are held out here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from gedanken.prompts.embeddings import load_encoder
from gedanken.prompts.reader.network import Network
from gedanken.prompts.reader.proposer import readings, save
from gedanken.prompts.reader.reading import Prepared, Preparer
from gedanken.world.checking.equivalence import equivalent
from gedanken.world.items import items_of
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema
from gedanken.world.schema_file import schema_from

from ..translator.train import domains, options, prepared, train
from .generate import examples as surprising


def examples(seed: int) -> Iterator[tuple[Prepared, list[int]]]:
    """Prepared surprises of the domains to learn from."""
    return prepared((one.schema, one.text, one.rules) for one in surprising(domains(), seed))


def right(network: Network, n: int, seed: int) -> tuple[float, float]:
    """The share of `n` surprises of held-out domains whose rule (in whatever words) is written first, and among the
    best five."""
    preparer = Preparer(load_encoder("local"))
    first = among = 0
    for one in islice((e for e in surprising(domains(held_out=True), seed) if e.rules), n):
        schema = schema_from(one.schema)
        truth = parse(one.rules[0], schema)
        found = [_is(lines, truth, schema) for lines, _ in readings(network, preparer, one.text, items_of(schema), 5)]
        first += any(found[:1])
        among += any(found)
    return first / n, among / n


def _is(lines: tuple[str, ...], truth: Rule, schema: Schema) -> bool:
    try:
        return len(lines) == 1 and equivalent(parse(lines[0], schema), truth, schema)
    except RuleError:
        return False


def main() -> None:
    parser = options("runs/proposer", 1500)
    parser.description = __doc__
    parser.add_argument("--start", type=Path, help="a checkpoint of the translator to start from")
    parser.add_argument("--export", action="store_true", help="write the weights into the package")
    args = parser.parse_args()
    network = train(args, examples, args.start)
    if args.export:
        save(network)
    first, among = right(network.eval(), 100, 1_000_000 + args.seed)
    spread = math.sqrt(max(first * (1 - first), 1e-4) / 100)
    print(f"held-out domains, 100 surprises: the rule first {first:.2f} ± {spread:.2f}, among five {among:.2f}")


if __name__ == "__main__":
    main()
