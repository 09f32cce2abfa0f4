"""The reader: sentences in, rule lines out, with how likely each reading is. Loaded once a process, on first use."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import GedankenError
from ..embeddings import load_encoder
from ..weights import LOCAL
from .beam import Follows, search
from .items import Item
from .network import Network, parameters
from .reading import Preparer, collate

WEIGHTS = Path(__file__).with_name("weights.safetensors")
_loading = threading.Lock()


@dataclass(frozen=True)
class Heard:
    """One reading of a sentence: its rule lines (none: the sentence cannot be said), its log-probability, and how
    likely it is to be right, in 0..1, as calibrated on worlds that the network never saw."""

    lines: tuple[str, ...]
    log_prob: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """Confidence from a reading's probability, a logistic curve: sigmoid(bias + slope * log p + share * p/(all p))."""

    bias: float = 0.0
    slope: float = 1.0
    share: float = 2.0

    def confidence(self, log_prob: float, share: float) -> float:
        return 1 / (1 + math.exp(-(self.bias + self.slope * max(log_prob, -20.0) + self.share * share)))


class Reader:
    """Reads sentences about any world that is described by its items."""

    def __init__(self, network: Network, preparer: Preparer, calibration: Calibration | None = None) -> None:
        self.network = network.eval()
        self.preparer = preparer
        self.calibration = calibration or Calibration()
        self._lock = threading.Lock()

    def read(self, sentence: str, items: Sequence[Item], best: int = 8, width: int = 12, follows: Follows | None = None
             ) -> list[Heard]:
        """Up to `best` readings of a sentence, the likeliest first; different texts."""
        with self._lock:
            prepared = self.preparer.prepare(sentence, items)
            found = search(self.network, collate([prepared]), width, best, follows)
        texts: dict[tuple[str, ...], float] = {}
        for ids, score in found:
            lines = tuple(prepared.codec.decode(ids))
            texts[lines] = math.log(math.exp(texts[lines]) + math.exp(score)) if lines in texts else score
        ranked = sorted(texts.items(), key=lambda pair: -pair[1])
        total = sum(math.exp(score) for _, score in ranked) or 1.0
        return [Heard(lines, score, self.calibration.confidence(score, math.exp(score) / total))
                for lines, score in ranked]


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
    return Reader(network, Preparer(encoder), Calibration(**json.loads(data.get("calibration", "{}"))))


def _bert(encoder: Any) -> Any:
    """A BERT of the encoder's shape that shares its word embeddings."""
    from transformers import BertModel

    own = encoder[0].auto_model
    bert = BertModel(own.config, add_pooling_layer=False)
    bert.embeddings.word_embeddings = own.embeddings.word_embeddings
    return bert


# --- eight bits -------------------------------------------------------------------------------------------------------


def save_packed(network: Network, path: Path, calibration: Calibration) -> None:
    """Write the weights with 8 bits a number (a scale a row), everything of one axis with 16."""
    data = {"calibration": json.dumps(vars(calibration))}
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
