"""The reader: sentences in, rule lines out, with how likely each reading is. Loaded once a process, on first use."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import GedankenError
from ..embeddings import load_encoder
from ..local.weights import LOCAL
from .beam import likelihoods, search
from .items import Item
from .network import Network, parameters
from .reading import Preparer, collate
from .scoring import Said, Scoring, features_of

WIDTH = 20    # of the beam
Say = Callable[[Sequence[str]], Said | None]
"""Rule lines said back in plain words; None where they are no rules of this world."""
WEIGHTS = Path(__file__).with_name("weights.safetensors")
_loading = threading.Lock()


@dataclass(frozen=True)
class Heard:
    """One reading of a sentence: its rule lines (none: the sentence cannot be said), its log-probability, and how
    likely it is to be right, in 0..1, as calibrated on worlds that the network never saw."""

    lines: tuple[str, ...]
    log_prob: float
    confidence: float


class Reader:
    """Reads sentences about any world that is described by its items."""

    def __init__(self, network: Network, preparer: Preparer, scoring: Scoring | None = None) -> None:
        self.network = network.eval()
        self.preparer = preparer
        self.scoring = scoring or Scoring()
        self._lock = threading.Lock()

    def read(self, sentence: str, items: Sequence[Item], say: Say, also: Sequence[str] = (), best: int = 8
             ) -> list[Heard]:
        """Up to `best` readings of a sentence, the likeliest first: different texts, each said back by `say`. The rule
        lines `also` are weighed as readings, too."""
        return [heard for heard, _ in self.scored(sentence, items, say, also)][:best]

    def scored(self, sentence: str, items: Sequence[Item], say: Say, also: Sequence[str] = ()
               ) -> list[tuple[Heard, list[float]]]:
        """All readings found with the features that they were scored by."""
        with self._lock:
            prepared = self.preparer.prepare(sentence, items)
            question = collate([prepared])
            found = search(self.network, question, WIDTH, WIDTH)
            known = {tuple(ids) for ids, _ in found}
            more = [ids for ids in map(prepared.encoded, also) if ids is not None and tuple(ids) not in known]
            found += zip(more, likelihoods(self.network, question, more), strict=True)
            readings: dict[tuple[str, ...], tuple[list[int], float, Said]] = {}
            for ids, score in found:
                lines = tuple(prepared.codec.decode(ids))
                if lines in readings:
                    first, before, said = readings[lines]
                    readings[lines] = first, float(np.logaddexp(before, score)), said
                elif (back := say(lines)) is not None:
                    readings[lines] = ids, score, back
            alike = self._alike(sentence, [said.words for _, _, said in readings.values()])
        total = sum(math.exp(score) for _, score, _ in readings.values()) or 1.0
        features = [features_of(prepared, ids, score, math.exp(score) / total, near, said.is_doubtful)
                    for (ids, score, said), near in zip(readings.values(), alike, strict=True)]
        heard = [Heard(lines, score, confidence) for (lines, (_, score, _)), confidence
                 in zip(readings.items(), self.scoring.confidences(features), strict=True)]
        return sorted(zip(heard, features, strict=True), key=lambda pair: -pair[0].confidence)

    def _alike(self, sentence: str, words: Sequence[str]) -> list[float]:
        """How much each text means the same as the sentence: cosines of their embeddings."""
        vectors = self.preparer.encoder.encode([sentence, *words], normalize_embeddings=True, show_progress_bar=False)
        return [float(vectors[0] @ v) for v in vectors[1:]]


def load_reader(path: Path = WEIGHTS) -> Reader:
    """The reader with the packaged weights, loaded once a process.

    Raises:
        GedankenError: the weights or the embedding model are not installed.
    """
    with _loading:
        return _load(path)


@lru_cache(maxsize=2)
def _load(path: Path) -> Reader:
    encoder = load_encoder(LOCAL)
    if not path.is_file():
        raise GedankenError(f"the translator's weights are missing ({path.name}); install gedanken again")
    with safe_open(path, "pt") as file:
        data = file.metadata() or {}
        state = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    network = Network(_bert(encoder))
    network.load_state_dict(unpacked(state), strict=False)
    scoring = {name: tuple(numbers) for name, numbers in json.loads(data.get("scoring", "{}")).items()}
    return Reader(network, Preparer(encoder), Scoring(**scoring))


def _bert(encoder: Any) -> Any:
    """A BERT of the encoder's shape that shares its word embeddings."""
    from transformers import BertModel

    own = encoder[0].auto_model
    bert = BertModel(own.config, add_pooling_layer=False)
    bert.embeddings.word_embeddings = own.embeddings.word_embeddings
    return bert


# --- eight bits -------------------------------------------------------------------------------------------------------


def save_packed(network: Network, path: Path, scoring: Scoring) -> None:
    """Write the weights with 8 bits a number (a scale a row), everything of one axis with 16."""
    data = {"scoring": json.dumps(vars(scoring))}
    save_file(packed(parameters(network)), path, metadata=data)


def packed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.dim() < 2:
            out[name] = value.half().contiguous()
            continue
        scale = value.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        out[name] = (value / scale).round().to(torch.int8).contiguous()
        out[f"{name}.scale"] = scale.half().contiguous()
    return out


def unpacked(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() * state[f"{name}.scale"].float() if f"{name}.scale" in state else value.float()
            for name, value in state.items() if not name.endswith(".scale")}
