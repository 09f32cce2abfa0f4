"""Where a rule's text stands, and how its mistakes are shown: source, line, column, the line and a caret.

Parsing and checking collect `Mistake`s; `Source.error` turns them into one `RuleError` that lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import UserError

MAX_LINE = 2_000
MAX_NESTING = 50
MAX_LINES = 10_000
MAX_FILE = 1_000_000
MAX_STEPS = 100    # of `near(...)`
MAX_DEFINITIONS = 200    # of a world
MAX_DEPTH = 16    # of definitions that stand on definitions
MAX_HOLES = 16    # of a rule
MAX_MISTAKES = 1_000    # of a file; then the rest of it is not read
_MISTAKES_OF_A_LINE = 20
_SHOWN = 76


@dataclass(frozen=True)
class Mistake:
    """What is wrong at a 0-based `offset` of the line, and the way out (`hint`, which starts with '; ')."""

    message: str
    offset: int = 0
    hint: str = ""


class RuleError(UserError):
    """A rule that cannot be used. `line` and `column` (from 1) and `message` are the first mistake's.

    `errors` holds one `RuleError` a mistake; the text of the whole lists them all, each with its line and a caret.
    """

    def __init__(self, text: str, line: int, column: int, message: str, errors: Sequence[RuleError] = ()) -> None:
        super().__init__(text)
        self.line = line
        self.column = column
        self.message = message
        self.errors: tuple[RuleError, ...] = tuple(errors) or (self,)

    @staticmethod
    def together(errors: Sequence[RuleError]) -> RuleError:
        """One error that reports several (at least one), in the order given."""
        every = [e for error in errors for e in error.errors]
        if len(every) == 1:
            return every[0]
        first = every[0]
        return RuleError("\n".join(map(str, every)), first.line, first.column, first.message, every)


@dataclass(frozen=True)
class Source:
    """One line of rules: its text, the file's name, the line's number, and the offset of each node by its `id`."""

    text: str
    name: str = "rule"
    line: int = 1
    offsets: Mapping[int, int] = field(default_factory=dict)

    def error(self, mistakes: Sequence[Mistake]) -> RuleError:
        """Return all `mistakes` of the line as one error, from left to right."""
        some = sorted(mistakes, key=lambda m: m.offset)
        shown, more = some[:_MISTAKES_OF_A_LINE], some[_MISTAKES_OF_A_LINE:]
        if more:
            shown.append(Mistake(f"{len(more)} more mistakes from here on", more[0].offset))
        return RuleError.together([self._error(m) for m in shown])

    def _error(self, mistake: Mistake) -> RuleError:
        shown, caret = excerpt(self.text, mistake.offset)
        column = mistake.offset + 1
        place = f"{self.name}:{self.line}:{column}"
        within = f' in "{shown.strip()}"' if shown.strip() else ""
        text = f"{place}: {mistake.message}{within}{mistake.hint}\n    {shown}\n    {' ' * caret}^"
        return RuleError(text, self.line, column, mistake.message + mistake.hint)


def excerpt(text: str, offset: int) -> tuple[str, int]:
    """Return at most one screen line of `text` about `offset`, printable, and the offset in it."""
    text = "".join(c if c.isprintable() else " " for c in text).rstrip()
    offset = min(offset, len(text))
    if len(text) <= _SHOWN:
        return text, offset
    start = max(0, min(offset - _SHOWN // 2, len(text) - _SHOWN))
    before, after = "..." if start else "", "..." if start + _SHOWN < len(text) else ""
    return before + text[start : start + _SHOWN] + after, offset - start + len(before)
