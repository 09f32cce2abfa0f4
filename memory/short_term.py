"""Short-term memory: the episode under way, what was seen last, what was surprising, and the working context.

The belief (the model's latent) and the goals' state are tensors of the layers above, which keep and save them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UserError
from .context import Context, Line, Show, assemble
from .experience.record import Step
from .seen import Seen
from .text import Count, clean, roughly_tokens


@dataclass(frozen=True)
class Surprise:
    """A step that went otherwise than imagined: by how much (the agent's own unit), when, and what."""

    amount: float
    episode: int
    t: int
    text: str


@dataclass(frozen=True)
class Remark:
    """A line that was said into the working context; a `lasting` one outlives the episode."""

    line: Line
    lasting: bool


class ShortTerm:
    """What the agent holds in mind now."""

    def __init__(
        self,
        budget_tokens: int = 4096,
        count: Count = roughly_tokens,
        max_lines: int = 256,
        max_surprises: int = 32,
    ) -> None:
        """`count` returns the tokens of a text, as the language model counts them. Raises `UserError` for a limit below
        1."""
        for name, limit in (
            ("budget_tokens", budget_tokens),
            ("max_lines", max_lines),
            ("max_surprises", max_surprises),
        ):
            if limit < 1:
                raise UserError(f"{name} is {limit}; give at least 1")
        self.budget_tokens = budget_tokens
        self.count = count
        self.steps: list[Step] = []
        self.seen = Seen()
        self.shown: Context | None = None  # what a language model was shown last, and what was left out
        self.recalled: list[int] = []  # notes that came to mind and wait for what the episode brings
        self.episodes = 0  # finished
        self.total_steps = 0  # in all episodes
        self.dropped_lines = 0  # forgotten since there were more than max_lines
        self._max_lines = max_lines
        self._remarks: list[Remark] = []
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
    def remarks(self) -> tuple[Remark, ...]:
        return tuple(self._remarks)

    def add(self, step: Step) -> None:
        """Take in one lived step."""
        self.steps.append(step)
        self.total_steps += 1
        if step.next_features is not None:
            self.seen.look(step.next_features, self.t)

    def surprise(self, amount: float, text: str = "") -> None:
        """Remember that the newest step was surprising."""
        self._surprises.append(Surprise(float(amount), self.episodes, self.t, clean(text)))

    def say(self, text: str, kind: str = "event", lasting: bool = False) -> None:
        """Add a line to the working context; one that is there already becomes the newest, an empty one is ignored.

        Raises `UserError` for a kind that is not in `PRIORITY`.
        """
        line = Line(clean(text), kind)
        if not line.text:
            return
        self._remarks = [other for other in self._remarks if other.line != line]
        self._remarks.append(Remark(line, lasting))
        if len(self._remarks) > self._max_lines:
            self._remarks.pop(0)
            self.dropped_lines += 1

    def context(self, lines: Iterable[Line] = (), show: Show = lambda c: c.text) -> Context:
        """What a language model is shown: the given lines, those that were said (the newest first) and the surprises of
        this episode, as far as `show` of them fits the budget. Kept as `shown`, with what was left out.

        Raises `UserError` where even a prompt without a line exceeds the budget.
        """
        felt = (s for s in reversed(self._surprises) if s.episode == self.episodes and s.text)
        said = [remark.line for remark in reversed(self._remarks)] + [Line(s.text, "event") for s in felt]
        self.shown = assemble(list(dict.fromkeys([*lines, *said])), self.budget_tokens, self.count, show)
        return self.shown

    def reset(self) -> None:
        """An episode has ended: forget its steps, what was seen, and every line that is not lasting."""
        self.episodes += bool(self.steps)
        self.steps = []
        self.seen.clear()
        self._remarks = [remark for remark in self._remarks if remark.lasting]

    def state_dict(self) -> dict[str, Any]:
        """Text and counters, JSON-able. The steps are in long-term memory."""
        return {
            "version": 2,
            "episodes": self.episodes,
            "total_steps": self.total_steps,
            "dropped_lines": self.dropped_lines,
            "recalled": list(self.recalled),
            "remarks": [asdict(remark) for remark in self._remarks],
            "surprises": [asdict(surprise) for surprise in self._surprises],
            "seen": self.seen.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], steps: Iterable[Step] = ()) -> None:
        """Return to a checkpoint; `steps` are those of the episode that was under way, where it goes on. Raises
        `UserError` for a state that is not ours."""
        seen = Seen()
        try:
            remarks = [Remark(Line(**remark["line"]), bool(remark["lasting"])) for remark in state["remarks"]]
            surprises = [Surprise(**surprise) for surprise in state["surprises"]]
            counters = int(state["episodes"]), int(state["total_steps"]), int(state["dropped_lines"])
            recalled = [int(id) for id in state["recalled"]]
            seen.load_state_dict(state["seen"])
        except (KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(
                f"this is not a short-term checkpoint ({error!r}); pass what state_dict() returned"
            ) from error
        self.steps, self.seen, self.recalled, self._remarks = list(steps), seen, recalled, remarks
        self._surprises = deque(surprises, self._surprises.maxlen)
        self.episodes, self.total_steps, self.dropped_lines = counters
