"""The proposer: the reader's network, trained to read a surprise in words and to write the rules behind it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from .beam import search
from .items import Item
from .network import Network, parameters
from .reader import load_reader, packed
from .reading import Preparer, collate

PROPOSER = Path(__file__).with_name("proposer.safetensors")
WIDTH = 12    # of the beam
_reading = threading.Lock()


def proposed(surprise: str, items: Sequence[Item], best: int = 8) -> list[tuple[tuple[str, ...], float]]:
    """Up to `best` different readings of a surprise in words with the packaged weights, the likeliest first: rule
    lines (none: nothing is behind it) and their log-probability.

    Raises:
        GedankenError: the weights or the embedding model are not installed.
    """
    reader = load_reader(PROPOSER)
    return readings(reader.network, reader.preparer, surprise, items, best)


def readings(network: Network, preparer: Preparer, surprise: str, items: Sequence[Item], best: int = 8
             ) -> list[tuple[tuple[str, ...], float]]:
    """The same with a network that is at hand."""
    with _reading:
        prepared = preparer.prepare(surprise, items)
        found = search(network, collate([prepared]), WIDTH, best)
    texts: dict[tuple[str, ...], float] = {}
    for ids, score in found:
        lines = tuple(prepared.codec.decode(ids))
        texts[lines] = float(np.logaddexp(texts[lines], score)) if lines in texts else score
    return sorted(texts.items(), key=lambda pair: -pair[1])


def save(network: Network, path: Path = PROPOSER) -> None:
    """Write the weights with 8 bits a number, as the reader's."""
    save_file(packed(parameters(network)), path)
