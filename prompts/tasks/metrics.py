"""What few-shot answers are measured by, from well-kept libraries: scikit-learn, rouge-score, and a generator's scorer.

An answer that cannot be used counts as wrong, never as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ...errors import UserError, nearest
from .outputs import Kind, is_choice, is_json, plain

Scorer = Callable[[str, str], float]
"""The score, 0 to 1, of an answer to an input; from where the data come from (see `generators`)."""
UNUSABLE = "\0unusable"


def measure(
    names: Sequence[str], outputs: Sequence[Any], references: Sequence[Any], scores: Sequence[float] = ()
) -> dict[str, float]:
    """Return each metric of typed outputs (None where unusable) against references, all in 0..1 but errors.

    Raises:
        UserError: rouge-score is needed and not installed.
    """
    given, wanted = [plain(value) for value in outputs], [plain(value) for value in references]
    return {name: _score(scores) if name == "scorer" else METRICS[name](given, wanted) for name in names}


def default_metrics(kind: Kind) -> list[str]:
    """Return the metrics of an output's type."""
    if is_choice(kind):
        return ["accuracy", "macro_f1"]
    if is_json(kind):
        return ["field_f1", "exact_match"]
    return ["rouge1", "rouge2", "rougeL"] if kind == "text" else ["exact_match", "mean_absolute_error"]


def check_metrics(names: Sequence[str], kind: Kind) -> list[str]:
    """Return what is wrong with a list of metrics for a type."""
    known = [*METRICS, "scorer"]
    wrong = [f"unknown metric {n!r}{nearest(n, known)}; there are {', '.join(known)}" for n in names if n not in known]
    fit = {"rouge1": "text", "rouge2": "text", "rougeL": "text", "macro_f1": "a choice of labels",
           "mean_absolute_error": "a number"}
    for name in names:
        fits = {"text": kind == "text", "a choice of labels": is_choice(kind), "a number": kind in ("int", "float")}
        if name in fit and not fits[fit[name]]:
            wrong.append(f"metric '{name}' is for an output that is {fit[name]}")
    return wrong


def is_error(name: str) -> bool:
    """Whether less of a metric is better."""
    return name == "mean_absolute_error"


def _score(scores: Sequence[float]) -> float:
    return sum(scores) / max(len(scores), 1)


def _accuracy(given: list[Any], wanted: list[Any]) -> float:
    return sum(g is not None and g == w for g, w in zip(given, wanted, strict=True)) / max(len(wanted), 1)


def _macro_f1(given: list[Any], wanted: list[Any]) -> float:
    from sklearn.metrics import f1_score

    labels = sorted({str(w) for w in wanted})
    answers = [UNUSABLE if g is None else str(g) for g in given]
    return float(f1_score([str(w) for w in wanted], answers, labels=labels, average="macro", zero_division=0))


def _rouge(name: str) -> Callable[[list[Any], list[Any]], float]:
    def mean(given: list[Any], wanted: list[Any]) -> float:
        scorer = _rouge_scorer()
        scores = (scorer.score(w, g or "")[name].fmeasure for g, w in zip(given, wanted, strict=True))
        return float(sum(scores)) / max(len(wanted), 1)

    return mean


@lru_cache(maxsize=1)
def _rouge_scorer() -> Any:
    try:
        from rouge_score import rouge_scorer
    except ImportError as error:
        raise UserError("ROUGE needs the package rouge-score: `pip install 'gedanken[fewshot]'`") from error
    return rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


def _field_f1(given: list[Any], wanted: list[Any]) -> float:
    """Micro F1 over the (field, value) pairs of all records, an item of a list a pair; text but for case and spaces."""
    hits = predicted = expected = 0
    for g, w in zip(given, wanted, strict=True):
        found, right = _pairs(g), _pairs(w)
        hits += sum(min(found.count(pair), right.count(pair)) for pair in set(found))
        predicted, expected = predicted + len(found), expected + len(right)
    return 2 * hits / max(predicted + expected, 1)


def _pairs(value: Any, place: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for name, item in value.items() for pair in _pairs(item, f"{place}.{name}")]
    if isinstance(value, list):
        return [pair for item in value for pair in _pairs(item, f"{place}[]")]
    return [] if value is None else [(place, " ".join(str(value).casefold().split()))]


def _mean_absolute_error(given: list[Any], wanted: list[Any]) -> float:
    """Over usable answers; NaN where none is."""
    errors = [abs(float(g) - float(w)) for g, w in zip(given, wanted, strict=True) if g is not None]
    return sum(errors) / len(errors) if errors else float("nan")


METRICS: dict[str, Callable[[list[Any], list[Any]], float]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "exact_match": _accuracy,
    "rouge1": _rouge("rouge1"),
    "rouge2": _rouge("rouge2"),
    "rougeL": _rouge("rougeL"),
    "field_f1": _field_f1,
    "mean_absolute_error": _mean_absolute_error,
}
