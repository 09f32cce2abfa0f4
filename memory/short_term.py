"""Short-term memory: the episode under way, the belief, what was surprising, and the working context of text."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UserError
from .record import Step
from .text import clean, roughly_tokens


@dataclass(frozen=True)
class Line:
    """One line of the working context. Higher priority is kept first; `lasting` lines outlive the episode."""

    text: str
    priority: float
    kind: str
    lasting: bool


@dataclass(frozen=True)
class Surprise:
    """A step that went otherwise than imagined: by how much (the agent's own unit), when, and what."""

    amount: float
    episode: int
    t: int
    text: str


@dataclass(frozen=True)
class Context:
    """What fits the budget, in the order it was said, and what did not."""

    lines: tuple[str, ...]
    tokens: int
    left_out: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class ShortTerm:
    """What the agent holds in mind now. `belief` is any object, the world model's latent; it is only kept here."""

    def __init__(
        self,
        budget_tokens: int = 1024,
        count: Callable[[str], int] = roughly_tokens,
        max_lines: int = 256,
        max_surprises: int = 32,
    ) -> None:
        """`count` returns the tokens of a text. Raises `UserError` for a limit below 1."""
        for name, limit in (
            ("budget_tokens", budget_tokens),
            ("max_lines", max_lines),
            ("max_surprises", max_surprises),
        ):
            if limit < 1:
                raise UserError(f"{name} is {limit}; give at least 1")
        self.budget_tokens = budget_tokens
        self.count = count
        self.belief: Any = None
        self.steps: list[Step] = []
        self.episodes = 0  # finished
        self.total_steps = 0  # in all episodes
        self.dropped_lines = 0  # forgotten since there were more than max_lines
        self._max_lines = max_lines
        self._lines: list[Line] = []
        self._surprises: deque[Surprise] = deque(maxlen=max_surprises)

    @property
    def t(self) -> int:
        """Steps taken in this episode."""
        return len(self.steps)

    @property
    def total_reward(self) -> float:
        """Undiscounted return of this episode so far."""
        return float(sum(step.reward for step in self.steps))

    @property
    def surprises(self) -> tuple[Surprise, ...]:
        """The recent surprises, oldest first; they outlive the episode."""
        return tuple(self._surprises)

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    def add(self, step: Step) -> None:
        """Take in one lived step."""
        self.steps.append(step)
        self.total_steps += 1

    def surprise(self, amount: float, text: str = "") -> None:
        """Remember that the newest step was surprising."""
        self._surprises.append(Surprise(float(amount), self.episodes, self.t, clean(text)))

    def say(self, text: str, priority: float = 0.0, kind: str = "event", lasting: bool = False) -> None:
        """Add a text to the working context; a text that is there already moves to the end, an empty one is ignored."""
        line = Line(clean(text), float(priority), clean(kind), lasting)
        if not line.text:
            return
        self._lines = [other for other in self._lines if (other.text, other.kind) != (line.text, line.kind)]
        self._lines.append(line)
        if len(self._lines) > self._max_lines:
            self._lines.remove(min(self._lines, key=lambda other: other.priority))  # the oldest of the lowest
            self.dropped_lines += 1

    def context(self, budget_tokens: int | None = None) -> Context:
        """The lines that fit the budget, by priority and then the newest, in the order they were said."""
        budget = self.budget_tokens if budget_tokens is None else budget_tokens
        by_rank = sorted(range(len(self._lines)), key=lambda i: (-self._lines[i].priority, -i))
        kept: list[int] = []
        used = 0
        for i in by_rank:
            cost = self.count(self._lines[i].text) + bool(kept)  # a token for the line break
            if used + cost <= budget:
                kept.append(i)
                used += cost
        tokens = self._tokens(kept)
        while kept and tokens > budget:  # a tokenizer may count lines differently once they are joined
            kept.pop()
            tokens = self._tokens(kept)
        chosen = set(kept)
        return Context(
            tuple(self._lines[i].text for i in sorted(kept)),
            tokens,
            tuple(line for i, line in enumerate(self._lines) if i not in chosen),
        )

    def reset(self) -> None:
        """An episode has ended: forget its steps, the belief and every line that is not lasting."""
        self.episodes += bool(self.steps)
        self.steps = []
        self.belief = None
        self._lines = [line for line in self._lines if line.lasting]

    def state_dict(self) -> dict[str, Any]:
        """Text and counters, JSON-able. Steps are in long-term memory; the belief is the model's to save."""
        return {
            "version": 1,
            "episodes": self.episodes,
            "total_steps": self.total_steps,
            "dropped_lines": self.dropped_lines,
            "lines": [asdict(line) for line in self._lines],
            "surprises": [asdict(surprise) for surprise in self._surprises],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a checkpoint, at the start of an episode. Raises `UserError` for a state that is not ours."""
        try:
            lines = [Line(**line) for line in state["lines"]]
            surprises = [Surprise(**surprise) for surprise in state["surprises"]]
            counters = int(state["episodes"]), int(state["total_steps"]), int(state["dropped_lines"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"this is not a short-term checkpoint ({error!r}); pass what state_dict() returned"
            ) from error
        self.steps = []
        self.belief = None
        self._lines = lines
        self._surprises = deque(surprises, self._surprises.maxlen)
        self.episodes, self.total_steps, self.dropped_lines = counters

    def _tokens(self, kept: list[int]) -> int:
        return self.count("\n".join(self._lines[i].text for i in sorted(kept))) if kept else 0
