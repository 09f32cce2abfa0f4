"""The order of clauses: what comes after what, what may come in any order, what is never to be.

From the loosest: `after` and `before`, `then`, `while`, and `and` beside `or`, which are asked about where both stand
together and it makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import UserError
from .clause import Clause
from .readings import Choices

_LEADING = ("AFTER", "WHEN", "BEFORE", "WHILE", "UNTIL", "IF", "UNLESS")
_GUARDS = ("WHEN", "WHILE", "IF", "UNLESS")


def lines_of(clauses: Sequence[Clause], choices: Choices) -> list[str]:
    """The rule lines that clauses mean together. Raises `UserError` where they make no whole."""
    deadlines = [c for c in clauses if c.kind == "deadline"]
    asking = [i for i, c in enumerate(clauses) if c.kind in ("goal", "state", "back")]
    if any(asking and asking[0] < i < asking[-1] for i, c in enumerate(clauses) if c.kind == "deadline"):
        raise UserError("a deadline between two things to do may be for one or both; say it first or last, "
                        "for the whole")
    if len(deadlines) > 1:
        raise UserError("there is more than one deadline; say one for the whole")
    asked, limits = _apart([c for c in clauses if c.kind != "deadline"])
    order = _Order(choices).whole(asked)
    if deadlines and not order:
        raise UserError("a deadline is for something to be reached; say what")
    within = f" within {deadlines[0].text} steps" if deadlines else ""
    return [f"achieve {order}{within}"] * bool(order) + limits


def _apart(clauses: list[Clause]) -> tuple[list[Clause], list[str]]:
    """What is asked for, and the limits among it as rule lines; what is forbidden until something is done goes with
    that."""
    asked: list[Clause] = []
    lines: list[str] = []
    rest = list(clauses)
    is_guard = len(rest) == 2 and rest[0].link in _GUARDS and rest[0].kind == "state" and not rest[0].is_act
    if is_guard and rest[1].kind in ("limit", "keep"):
        rest = [replace(rest[1], link=""), rest[0]]
    while rest:
        now = rest.pop(0)
        if now.kind not in ("limit", "keep"):
            asked.append(now)
            continue
        kept = f"not ({now.text})" if now.kind == "limit" else f"({now.text})"
        if rest and rest[0].link in ("UNTIL", "BEFORE") and rest[0].kind in ("goal", "state"):
            until = rest.pop(0)
            asked.append(Clause("goal", f"{{{until.text}}} while {kept}", link=now.link))
            continue
        if rest and rest[0].link in _GUARDS and rest[0].kind == "state" and not rest[0].is_act:
            guard = rest.pop(0)
            when = f"not ({guard.text})" if guard.link == "UNLESS" else f"({guard.text})"
            said = f"({now.text}) and {when}" if now.kind == "limit" else f"{when} implies ({now.text})"
            now = replace(now, text=said)
        elif rest and rest[0].link in ("AFTER", "WHEN", "IF", "UNLESS"):
            raise UserError(f"'{rest[0].link.lower()}' after a limit: say it of a quantity, as in 'never be "
                            "faster than 1 when the battery is below 20'")
        if now.kind == "keep" and now.link == "OR":
            raise UserError(f"'{now.text}' is kept or something else is; say one")
        lines.append(f"avoid {now.text}" if now.kind == "limit" else f"maintain {now.text}")
        if rest and not asked and rest[0].link in ("AND", "THEN", "WHILE", "OR", ""):
            rest[0] = replace(rest[0], link="")
    return asked, lines


class _Order:
    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def whole(self, clauses: list[Clause]) -> str:
        """A milestone of all clauses."""
        if not clauses:
            return ""
        if clauses[0].link in _LEADING:
            n = next((i for i, c in enumerate(clauses) if i and (c.is_apart or c.link not in ("AND", "OR"))), 0)
            if not n:
                raise UserError("it says when, and not what is to be done")
            first = [replace(clauses[0], link=""), *clauses[1:n]]
            rest = [replace(clauses[n], link=""), *clauses[n + 1 :]]
            link = clauses[0].link
            if link in ("AFTER", "WHEN"):
                return _chain([self.whole(first), self.whole(rest)])
            if link in ("WHILE", "BEFORE") and first[0].kind == "state":
                return _while(self.whole(rest), first[0], link)
            if link == "BEFORE":
                return _chain([self.whole(rest), self.whole(first)])
            raise UserError(f"'{link.lower()}' what, and what then? say it as in 'keep the speed below 2 until ...'")
        for i, clause in enumerate(clauses):
            if clause.is_new and i:    # "open the door and, when it is open, go to the key"
                return _chain([self.whole(clauses[:i]), self.whole([replace(clause, is_new=False), *clauses[i + 1 :]])])
            if clause.link in ("AFTER", "WHEN") or (clause.link == "BEFORE" and clause.kind != "state"):
                parts = [self.whole(clauses[:i]), self.whole([replace(clause, link=""), *clauses[i + 1 :]])]
                if i > 1 and clause.kind == "state" and clause.link != "BEFORE":
                    last = _chain([parts[1], self.whole([replace(clauses[i - 1], link="")])])
                    before = self.whole(clauses[: i - 1])
                    is_next = clauses[i - 1].link in ("THEN", "ONLY_THEN")
                    alone = _chain([before, last]) if is_next else _together([(before, False), (f"{{{last}}}", False)])
                    return self.choices.milestone(clause.link.lower(), [alone, _chain(parts[::-1])])
                return _chain(parts[::-1] if clause.link != "BEFORE" else parts)
        return self._stages(clauses)

    def _stages(self, clauses: list[Clause]) -> str:
        """Groups in order."""
        groups: list[list[Clause]] = []
        for clause in clauses:
            is_next = clause.link in ("THEN", "ONLY_THEN") or clause.kind == "back" or (
                clause.follows and clause.link in ("AND", ""))  # fmt: skip
            if is_next or not groups:
                groups.append([clause])
            else:
                groups[-1].append(clause)
        done: list[str] = []
        for i, group in enumerate(groups):
            text = self._group(group, is_first=i == 0)
            if group[0].link == "ONLY_THEN":
                if "{" in text:
                    raise UserError("'only then' is said of one act; say 'then'")
                done = [f"{{{_chain(done)}}} while not ({text})", text]
            else:
                done.append(text)
        return _chain(done)

    def _group(self, clauses: list[Clause], is_first: bool) -> str:
        """Clauses in any order, or any one of them, and what must hold meanwhile."""
        items: list[list[Clause]] = []
        for i, clause in enumerate(clauses):
            if clause.link in ("WHILE", "BEFORE") and clause.kind == "state" and items:
                if i + 1 < len(clauses):
                    raise UserError(f"say what is to be done while '{clause.text}' in a sentence of its own")
                return _while(self._items(items), clause, clause.link)
            if clause.link not in ("", "AND", "OR", "THEN", "ONLY_THEN", "WHILE"):
                raise UserError(f"'{clause.link.lower()}' is not understood there; say it in two sentences")
            if clause.kind == "back" and is_first and not items:
                clause = replace(clause, text=f"{{not ({clause.text}) then {clause.text}}}")
            if clause.is_elided and items and clause.link in ("AND", "OR", ""):
                items[-1].append(clause)
            else:
                items.append([clause])
        return self._items(items)

    def _items(self, items: list[list[Clause]]) -> str:
        return self._mixed([self._run(run) for run in items], [run[0].link for run in items])

    def _run(self, run: list[Clause]) -> tuple[str, bool]:
        """A clause and those that share its verb, and whether they are one state."""
        text = self._mixed([(c.text, c.kind == "state") for c in run], [c.link for c in run])
        return text, all(c.kind == "state" for c in run) and all(c.link != "OR" for c in run[1:])

    def _mixed(self, parts: list[tuple[str, bool]], links: list[str]) -> str:
        is_or = [link == "OR" for link in links[1:]]
        texts = [text for text, _ in parts]
        if not any(is_or):
            return _together(parts)
        if all(is_or):
            return _either(texts)
        return self.choices.milestone("and ... or", [_tight(parts, is_or, False), _tight(parts, is_or, True)])


def _tight(parts: list[tuple[str, bool]], is_or: list[bool], or_binds: bool) -> str:
    """Parts where `or`, or else `and`, binds more tightly."""
    groups = [[parts[0]]]
    for part, link in zip(parts[1:], is_or, strict=True):
        if link == or_binds:
            groups[-1].append(part)
        else:
            groups.append([part])
    if or_binds:
        return _together([(_either([t for t, _ in g]), len(g) == 1 and g[0][1]) for g in groups])
    return _either([_together(g) for g in groups])


def _together(parts: list[tuple[str, bool]]) -> str:
    """All of them; states at one time."""
    states = [text for text, is_state in parts if is_state]
    whole = [" and ".join(f"({s})" for s in states)] if len(states) > 1 else states
    texts = [text for text, is_state in parts if not is_state] + whole
    return texts[0] if len(texts) == 1 else "{" + " also ".join(texts) + "}"


def _either(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else "{" + " else ".join(texts) + "}"


def _while(done: str, state: Clause, link: str) -> str:
    return f"{{{done}}} while {'not ' if link == 'BEFORE' else ''}({state.text})"


def _chain(texts: list[str]) -> str:
    """One after the other; the same twice in a row is done once."""
    return " then ".join(t for i, t in enumerate(texts) if i == 0 or t != texts[i - 1])
