"""Reading a sentence with the grammar: what it may mean in a world, and how sure that is.

A reading accounts for every word, so that there is none for most sentences, and few for the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..rules.check import warnings
from ..rules.parse import RuleError, parse
from ..rules.syntax import Rule, Statement
from ..rules.text import to_text
from ..schema import Schema
from .board import Board
from .chart import Chart, Production, productions
from .lexicon import Lexicon
from .meaning import TRUE, Meaning
from .on_pose import OnPose
from .tokens import said

MAX_WORDS = 60
TRUST = 0.77
"""How often the first reading was right, of every other sentence written for training, before the grammar was mended on
these: 10 of 13 (then 25 of 27). Below what is taken without asking: that takes the network to read the same."""
TRUST_ON_BOARDS = 0.9
"""The like on boards: a 95% lower bound of 31 of 31 readings of sentences that it was not mended on."""
_SHARPNESS = 2.0    # e-folds of a reading's share a unit of cost


@dataclass(frozen=True)
class English:
    """One reading: its rules, checked, and the cost of the words it took (0: every name as the schema has it)."""

    rules: tuple[Rule, ...]
    cost: float


class Reader:
    """Reads sentences about one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        board = Board.of(schema)
        self.lexicon = Lexicon(schema, board.entries() if board else ())
        self.meaning = OnPose(schema, board) if board else Meaning(schema)
        self.grammar = _grammar("grammar.txt", "board.txt", "pose.txt") if board else _grammar("grammar.txt")
        self.trust = TRUST_ON_BOARDS if board else TRUST

    def read(self, sentence: str) -> list[English]:
        """Every reading that accounts for every word, the likeliest first; none where there is no such."""
        heard = said(sentence, self.lexicon.names)
        if not heard.words or len(heard.words) > MAX_WORDS:
            return []
        chart = Chart(self.grammar, self.meaning, heard.words, self.lexicon.edges(heard))    # type: ignore[arg-type]
        found: dict[str, English] = {}
        for statements, cost in chart.whole("Sentence"):
            rules = [self._checked(statement) for statement in statements]
            kept = tuple(rule for rule in rules if rule is not None)
            text = "\n".join(map(to_text, kept))
            if len(kept) == len(rules) and text not in found:
                found[text] = English(kept, cost)
        return sorted(found.values(), key=lambda reading: reading.cost)

    def confidences(self, readings: list[English]) -> list[float]:
        """How likely each reading of one sentence is right: cheaper ones get the larger share of the trust."""
        shares = [math.exp(-_SHARPNESS * reading.cost) for reading in readings]
        return [self.trust * share / sum(shares) for share in shares]

    def _checked(self, statement: Statement) -> Rule | None:
        """The rule as text has it, where it is sound and not idle."""
        if getattr(statement, "guard", None) == TRUE:
            return None
        try:
            rule = parse(to_text(Rule(statement=statement)), self.schema)
        except RuleError:
            return None
        return None if warnings(rule, self.schema) else rule


@cache
def _grammar(*names: str) -> dict[str, list[Production]]:
    folder = Path(__file__).parent
    return productions("\n".join((folder / name).read_text(encoding="utf-8") for name in names))
