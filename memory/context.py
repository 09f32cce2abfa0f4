"""The working context: which lines a language model is shown, by priority, within a budget of tokens.

`PRIORITY` is the whole policy. Each kind first gets up to its share of the room, in this order; what room is left then
goes round once more in the same order. Within a kind the lines come as they are given, the most important first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..errors import UserError, nearest
from .text import Count


@dataclass(frozen=True)
class Part:
    """A kind of line: what it is, and the share of the room that it may take while others still wait."""

    kind: str
    what: str
    share: float


PRIORITY = (
    Part("goal", "what the agent is after, and how far it is", 0.1),
    Part("surprise", "what was not expected and is to be explained now, in groups", 0.35),
    Part("fault", "what the model has just proposed, and what is wrong with it", 0.3),
    Part("rule", "the rules that stand, a person's first", 0.25),
    Part("transition", "single transitions of what was not expected", 0.2),
    Part("lesson", "what was learnt from earlier episodes", 0.15),
    Part("example", "an earlier surprise, or sentence, and the rule that came of it and worked", 0.25),
    Part("past", "earlier surprises like this one", 0.1),
    Part("state", "what was seen last, and when", 0.1),
    Part("event", "what happened in this episode", 0.1),
)
_RANK = {part.kind: rank for rank, part in enumerate(PRIORITY)}


@dataclass(frozen=True)
class Line:
    """One line of the working context; an example has its `answer` too. Raises `UserError` for an unknown kind."""

    text: str
    kind: str
    answer: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _RANK:
            raise UserError(f"the working context has no kind '{self.kind}'{nearest(self.kind, _RANK)}; "
                            f"kinds: {', '.join(_RANK)}")


@dataclass(frozen=True)
class Context:
    """The lines that fit, by priority, what was left out, and the tokens of the whole text that shows them."""

    lines: tuple[Line, ...] = ()
    left_out: tuple[Line, ...] = ()
    tokens: int = 0

    def of(self, kind: str) -> list[str]:
        """The texts of one kind."""
        return [line.text for line in self.lines if line.kind == kind]

    def pairs(self, kind: str) -> list[tuple[str, str]]:
        """The (text, answer) pairs of one kind."""
        return [(line.text, line.answer) for line in self.lines if line.kind == kind]

    @property
    def text(self) -> str:
        return "\n".join(f"{line.text}\n{line.answer}" if line.answer else line.text for line in self.lines)


Show = Callable[[Context], str]
"""The whole text that a context makes: a prompt, with all that surrounds the lines."""


def assemble(lines: Sequence[Line], budget_tokens: int, count: Count, show: Show = lambda c: c.text) -> Context:
    """The lines that fit into `budget_tokens`, counted by `count` over all that is shown.

    What surrounds the lines (`show` of an empty context) is part of the budget. Raises `UserError` where it alone
    exceeds it.
    """
    frame = count(show(Context()))
    if frame > budget_tokens:
        raise UserError(f"the prompt takes {frame} tokens without a line of context, more than the budget of "
                        f"{budget_tokens}; raise context_tokens, or give a schema with fewer features")
    order = sorted(range(len(lines)), key=lambda i: _RANK[lines[i].kind])
    costs = {i: count(f"{lines[i].text}\n{lines[i].answer}") + 1 for i in order}
    room, kept, used = budget_tokens - frame, set[int](), 0
    for is_shared in (True, False):
        taken = dict.fromkeys(_RANK, 0)
        for i in order:
            share = PRIORITY[_RANK[lines[i].kind]].share * room if is_shared else room
            if i not in kept and used + costs[i] <= room and taken[lines[i].kind] + costs[i] <= share:
                kept.add(i)
                used += costs[i]
                taken[lines[i].kind] += costs[i]
    chosen = [i for i in order if i in kept]
    while True:  # quoted and joined, lines may cost more than alone
        context = Context(tuple(lines[i] for i in chosen), tuple(lines[i] for i in order if i not in chosen))
        tokens = count(show(context))
        if tokens <= budget_tokens or not chosen:
            return replace(context, tokens=tokens)
        chosen.pop()
