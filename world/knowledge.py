"""The knowledge base: what the agent was told or proposed, checked against the data, compiled for imagination.

`tell` turns text into typed rules, `propose` finds candidates in surprising transitions, `check` weighs every rule
by the evidence, and `refine` puts the ones that act around a world model. What a person says acts unless the data
contradict it; what a machine proposes acts only once they support it; a person's will on behaviour is never dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import GedankenError, UserError, nearest
from ..memory.text import clean
from ..prompts import Gateway, ModelUnavailable
from . import rulebook
from .evidence import BEHAVIOUR, Evidence, Status, is_fallible, judge, measure
from .history import Origin
from .miner import mine
from .model import WorldModel
from .refine import Assimilate, Refined
from .rulebook import PEOPLE, Book, Entry, Source, entry_of, named
from .rules import source as places
from .rules import syntax as s
from .rules.check import warnings
from .rules.compile import Compiled
from .rules.source import Mistake, RuleError
from .rules.syntax import Rule
from .rules.text import to_text
from .schema import Schema
from .telling import Unit, units
from .translator import Ask, Translator

if TYPE_CHECKING:
    from ..memory.record import Transitions

__all__ = ["Entry", "Evidence", "Fate", "KnowledgeBase", "Source", "Status", "Told"]

log = logging.getLogger(__name__)

Fate = Literal["rule", "understood", "asked", "refused"]
NO_MODEL = "no language model; write it as a rule line"


@dataclass(frozen=True)
class Told:
    """What became of one sentence or rule line: the entries it stands for (a duplicate's is the old one), what the
    language model took it to mean, as (text, confidence), its fate, and why."""

    sentence: str
    entries: tuple[Entry, ...] = ()
    readings: tuple[tuple[str, float], ...] = ()
    fate: Fate = "rule"
    reason: str = ""


class KnowledgeBase:
    """The rules of one world. Without a `gateway` to a language model only rule lines are understood."""

    def __init__(self, schema: Schema, gateway: Gateway | None = None) -> None:
        self.schema, self.gateway = schema, gateway
        self._entries: dict[str, Entry] = {}    # by id, oldest first
        self._book = Book()    # the lines of the file that was loaded
        self._last = 0
        self._translator = Translator(schema, gateway) if gateway is not None else None
        self._compiled: tuple[tuple[tuple[str, float], ...], Compiled] | None = None

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(self, text: str, source: Source = "user", ask: Ask | None = None, confidence: float = 0.8) -> list[Told]:
        """Take in rule lines, English sentences, or a manual: sentences with their rule lines indented below.

        A sentence without rule lines goes to the language model: a reading of at least `confidence` is taken; else
        `ask(sentence, readings)` chooses one by its index, or none; without `ask` it is refused.

        Raises:
            RuleError: with every mistake in the rule lines of `text`; nothing is taken then.
        """
        told = units(text, self.schema, source)
        self._check_names(told, text, source)
        results: dict[int, Told] = {}
        for i, unit in enumerate(told):
            if unit.rules:
                entries = tuple(self._add(rule, unit.sentence, source) for rule in unit.rules)
                doubts = [doubt for rule in unit.rules for doubt in warnings(rule, self.schema)]
                results[i] = Told(unit.sentence or entries[0].text, entries, reason="; ".join(doubts))
        silence = "" if self._translator else NO_MODEL
        for i, unit in enumerate(told):
            if not unit.rules and silence:
                results[i] = Told(unit.sentence, fate="refused", reason=silence)
            elif not unit.rules:
                try:
                    results[i] = self._understand(unit.sentence, source, ask, confidence)
                except ModelUnavailable as error:
                    silence = f"{error}; write it as a rule line"
                    results[i] = Told(unit.sentence, fate="refused", reason=silence)
        return [results[i] for i in range(len(told))]

    def _understand(self, sentence: str, source: Source, ask: Ask | None, confidence: float) -> Told:
        assert self._translator is not None
        known = [(e.sentence, e.text) for e in self.active() if e.sentence and e.is_told]
        found = self._translator.understood(sentence, known, ask, confidence)
        if found.rule is None:
            return Told(sentence, (), found.readings, found.fate, found.reason)
        assert self.gateway is not None
        entry = self._add(found.rule, sentence, source, Origin.of(self.gateway, "translate"))
        return Told(sentence, (entry,), found.readings, found.fate, "; ".join(warnings(found.rule, self.schema)))

    def _check_names(self, told: Sequence[Unit], text: str, source: str) -> None:
        """Raise `RuleError` where a new rule would take a standing rule's name."""
        lines, errors = text.splitlines(), []
        for unit in told:
            for rule, line in zip(unit.rules, unit.lines, strict=True):
                holder = next((e for e in self._entries.values() if rule.name and e.rule.name == rule.name
                               and e.status != "retired" and e.rule.statement != rule.statement), None)
                if holder is not None:
                    taken = Mistake(f"the name '{rule.name}' is taken", lines[line - 1].index(str(rule.name)),
                                    f" by {holder.id}, `{holder.text}`; choose another, or retire {holder.id} first")
                    errors.append(places.Source(lines[line - 1], source, line).error([taken]))
        if errors:
            raise RuleError.together(errors)

    def _add(self, rule: Rule, sentence: str, source: Source, origin: Origin | None = None) -> Entry:
        """Add a rule, or return the entry that says the same: a person's word makes it theirs, and revives it. What a
        language model wrote (`origin`) gets no name of the model's choosing."""
        rule, sentence = rule if origin is None else rule.model_copy(update={"name": None}), clean(sentence)
        claim = to_text(rule.statement)
        old = next((e for e in self._entries.values() if e.claim == claim), None)
        if old is None:
            self._last += 1
            entry = entry_of(f"r{self._last}", rule, sentence, source, origin)
        else:
            entry = self._retold(old, rule, sentence, source) if source in PEOPLE else old
        self._entries[entry.id] = entry
        return entry

    def _retold(self, old: Entry, rule: Rule, sentence: str, source: Source) -> Entry:
        """The entry as a person tells it again: theirs, in use, with their sentence and their name for it."""
        entry = old if old.is_told else old.changed("accepted", old.source, source=source)
        if sentence and not entry.sentence:
            entry = entry.model_copy(update={"sentence": sentence})
        if rule.name and rule.name != entry.rule.name:
            entry = entry.changed("named", entry.text, rule=rule, text=to_text(rule))
        if entry.status == "retired" and self._holder(entry) is not None:    # the name has gone to another
            nameless = entry.rule.model_copy(update={"name": None})
            entry = entry.changed("named", entry.text, rule=nameless, text=to_text(nameless))
        return entry.revived()

    # --- evidence and proposals -----------------------------------------------------------------------------------

    def check(self, transitions: Transitions) -> None:
        """Count every standing rule's hits and violations over all the given transitions, and set its status.

        Replaces what was counted before, so that checking twice changes nothing.
        """
        self._measure([e for e in self._entries.values() if e.status != "retired"], transitions)

    def _measure(self, entries: Sequence[Entry], transitions: Transitions) -> None:
        for entry, evidence in zip(entries, measure([e.rule for e in entries], self.schema, transitions), strict=True):
            self._entries[entry.id] = entry.judged(evidence)

    def propose(self, transitions: Transitions, surprise: np.ndarray | None = None) -> list[Entry]:
        """Add the candidates that the miner, and the language model if there is one, find in the transitions; return
        the new entries, checked. `surprise [N]`, in nats, says which transitions matter most."""
        found: list[tuple[Rule, Source]] = [(rule, "miner") for rule in mine(self.schema, transitions, surprise)]
        found += [(rule, "model") for rule in self._guessed(transitions, surprise)]
        known = {e.claim for e in self._entries.values()}
        new = {claim: pair for pair in reversed(found) if (claim := to_text(pair[0].statement)) not in known}
        evidence = measure([rule for rule, _ in new.values()], self.schema, transitions)
        added = []
        for (rule, source), counted in reversed(list(zip(new.values(), evidence, strict=True))):
            if judge(rule, counted) != "contradicted":
                origin = Origin.of(self.gateway, "propose") if self.gateway and source == "model" else None
                entry = self._add(rule.model_copy(update={"name": None}), "", source, origin).judged(counted)
                self._entries[entry.id] = entry
                added.append(entry)
        return added

    def _guessed(self, transitions: Transitions, surprise: np.ndarray | None) -> list[Rule]:
        """What the language model makes of the most surprising transitions; nothing where it does not answer."""
        if self._translator is None or not len(transitions):
            return []
        try:
            return self._translator.guesses([e.text for e in self.active()], transitions, surprise)
        except GedankenError as error:
            log.warning("no proposals of the language model: %s", error)
            return []

    # --- what acts ------------------------------------------------------------------------------------------------

    @property
    def entries(self) -> list[Entry]:
        """Every rule ever told or proposed, oldest first, the retired ones included."""
        return list(self._entries.values())

    def active(self) -> list[Entry]:
        """The rules that act, oldest first: a person's unless contradicted (on behaviour: always), a proposed one only
        where supported (on behaviour: never, until a person tells it)."""
        return [e for e in self._entries.values() if _acts(e)]

    def corrections(self) -> list[Entry]:
        """The active world rules and `forbid`s, in the order of `compiled().rules` (and the columns of `fired`)."""
        return self._of(s.Expect, s.Always, s.Reward, s.End, s.Forbid)

    def compiled(self) -> Compiled:
        """The corrections, compiled; the same object until something changes. Where two contradict each other, a
        person's goes before the model's before the miner's, then the supported before the untested."""
        entries = self.corrections()
        key = tuple((e.text, _priority(e)) for e in entries)
        if self._compiled is None or self._compiled[0] != key:
            compiled = Compiled(self.schema, [e.rule for e in entries], [priority for _, priority in key])
            self._compiled = key, compiled
        return self._compiled[1]

    def refine(self, model: WorldModel, assimilate: Assimilate = "always") -> Refined:
        """The model corrected by the active rules."""
        return Refined(model, self.compiled(), assimilate)

    def goals(self) -> list[Entry]:
        """The active `achieve` rules."""
        return self._of(s.Achieve)

    def limits(self) -> list[Entry]:
        """The active `avoid` and `maintain` rules."""
        return self._of(s.Avoid, s.Maintain)

    def preferences(self) -> list[Entry]:
        """The active `prefer` rules."""
        return self._of(s.Prefer)

    def _of(self, *kinds: type[s.Node]) -> list[Entry]:
        return [e for e in self.active() if isinstance(e.rule.statement, kinds)]

    # --- the lifecycle --------------------------------------------------------------------------------------------

    def entry(self, id: str) -> Entry:
        """The rule with this id or name. Raises `UserError` with the nearest one."""
        found = named(self.entries, id)
        if found is None:
            known = [key for e in self._entries.values() for key in (e.id, e.rule.name) if key]
            raise UserError(f"there is no rule '{id}'{nearest(id, known)}")
        return found

    def retire(self, id: str) -> Entry:
        """Take a rule out of use, by its id or name, until it is revived or told again."""
        return self._put(self.entry(id).retired())

    def accept(self, id: str) -> Entry:
        """Make a proposed rule one's own, by its id or name: it then acts as if it had been told. One that is retired
        is revived."""
        entry = self._vacant(self.entry(id))
        return self._put(self._retold(entry, entry.rule, "", "user"))

    def revive(self, id: str) -> Entry:
        """Bring a retired rule back, standing as its evidence says. Raises `UserError` if its name is taken by now."""
        return self._put(self._vacant(self.entry(id)).revived())

    def receive(self, offered: Sequence[Entry], where: str) -> list[Entry]:
        """Take in the rules of another knowledge base; return those that are new here, with ids of their own.

        What is known here already, retired or not, stays as it is. `where` says what they were imported from.

        Raises:
            UserError: a new rule has the name of a standing one; nothing is taken then.
        """
        known = {e.claim for e in self._entries.values()}
        new = {e.claim: e for e in reversed(offered) if e.claim not in known}
        for entry in new.values():
            self._vacant(entry)
        received = []
        for entry in reversed(new.values()):
            self._last += 1
            received.append(self._put(entry.changed("imported", where, id=f"r{self._last}")))
        return received

    def _holder(self, entry: Entry) -> Entry | None:
        """The standing rule, other than the entry, that has its name."""
        return next((e for e in self._entries.values() if e.rule.name and e.rule.name == entry.rule.name
                     and e.id != entry.id and e.status != "retired"), None)

    def _vacant(self, entry: Entry) -> Entry:
        """The entry, if its name is free for it to stand under."""
        holder = self._holder(entry)
        if holder is not None:
            raise UserError(f"the name '{entry.rule.name}' is taken by {holder.id}, `{holder.text}`; retire that first")
        return entry

    def _put(self, entry: Entry) -> Entry:
        self._entries[entry.id] = entry
        return entry

    # --- persistence ----------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write `rules.txt` and `rules.json` to a folder, each aside and renamed."""
        book = Book(tuple(self._entries.values()), self._book.lines, self._book.comments, self._last)
        rulebook.write(Path(folder), book, self.schema)

    def load(self, folder: Path) -> None:
        """Take on what a folder holds, in place of everything here. `rules.txt` says which rules there are: lines a
        person added or changed are theirs, lines that are gone are retired.

        Raises:
            RuleError: with every mistake in `rules.txt`.
            UserError: there are no rules in the folder, or `rules.json` is damaged.
        """
        self._book = rulebook.read(Path(folder), self.schema)
        self._entries = {e.id: e for e in self._book.entries}
        self._last = self._book.last


def _acts(entry: Entry) -> bool:
    if entry.status == "retired":
        return False
    if isinstance(entry.rule.statement, BEHAVIOUR):
        return entry.is_told
    if entry.is_told:
        return entry.status != "contradicted"
    return entry.status == "supported" and not is_fallible(entry.rule, entry.evidence)


def _priority(entry: Entry) -> float:
    rank = {"user": 4.0, "manual": 4.0, "model": 2.0, "miner": 0.0}[entry.source]
    return rank + (entry.status == "supported")
