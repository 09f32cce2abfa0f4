"""The knowledge base: what the agent was told or proposed, checked against the data, compiled for imagination.

`tell` turns text into typed rules, `propose` finds candidates in surprising transitions, `check` weighs every rule
by the evidence, and `refine` puts the ones that act around a world model. What a person says acts unless the data
contradict it; what a machine proposes acts only once they support it; a person's will on behaviour is never dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import GedankenError, UserError, nearest
from ..memory.short_term import ShortTerm
from ..memory.text import clean
from ..prompts import Gateway, ModelUnavailable
from ..prompts.counting import counter
from . import rulebook
from .checking import BEHAVIOUR, Evidence, Status, is_fallible
from .checking.effect import effects
from .checking.equivalence import equivalent
from .checking.exceptions import repaired
from .checking.logic import Finding, examine
from .fitting import weighed
from .guessing import guesses, nothing
from .history import Origin
from .miner import mine
from .model import WorldModel
from .recollection import Recollection
from .refine import Assimilate, Refined
from .rulebook import PEOPLE, Book, Entry, Source, entry_of, named
from .rules import source as places
from .rules import syntax as s
from .rules.check import check, warnings
from .rules.compile import Compiled
from .rules.definitions import names
from .rules.parse import with_definitions
from .rules.source import Mistake, RuleError
from .rules.syntax import Rule
from .rules.text import to_text
from .schema import Schema
from .telling import Unit, units
from .translator import Ask, Translator

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

__all__ = ["Entry", "Evidence", "Fate", "Finding", "KnowledgeBase", "Source", "Status", "Told"]

log = logging.getLogger(__name__)

Fate = Literal["rule", "understood", "asked", "refused"]


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
    """The rules of one world. Without a `gateway` to a language model rule lines are understood, and what the grammar
    of English reads; what a model is shown goes through the working context of `recent`."""

    def __init__(self, schema: Schema, gateway: Gateway | None = None, recent: ShortTerm | None = None) -> None:
        self.world, self.gateway = schema, gateway
        self.recent = recent or ShortTerm(count=counter(gateway.model if gateway else None))
        self._entries: dict[str, Entry] = {}    # by id, oldest first
        self._claims: dict[str, str] = {}    # the id of the entry with this claim
        self._book = Book()    # the lines of the file that was loaded
        self._last = 0
        self._telling: tuple[int, tuple[int, int] | None] = 0, None    # its number, and the last transition before it
        self._schema: tuple[tuple[str, ...], Schema] = (), schema
        self._reader: Translator | None = None
        self._compiled: tuple[tuple[tuple[str, float], ...], Compiled] | None = None

    @property
    def schema(self) -> Schema:
        """The world's schema with what was defined; the same object until a definition comes or goes."""
        texts = tuple(let.text for let in self.definitions())
        if self._schema[0] != texts:
            self._schema = texts, with_definitions(texts, self.world)[0]
        return self._schema[1]

    @property
    def _translator(self) -> Translator:
        if self._reader is None or self._reader.schema is not self.schema:
            self._reader = Translator(self.schema, self.gateway, self.recent)
        return self._reader

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(self, text: str, source: Source = "user", ask: Ask | None = None, confidence: float = 0.8,
             transitions: Transitions | None = None) -> list[Told]:
        """Take in rule lines, English sentences, or a manual: sentences with their rule lines indented below.

        A sentence without rule lines goes to the language model: a reading of at least `confidence` is taken; else
        `ask(sentence, readings)` chooses one by its index, or none; without `ask` it is refused. `transitions` in
        memory weigh in: a reading that they refute goes down. A rule line is taken at its word: where an older rule
        says otherwise the newer one goes first, and only what is lived from now on can refute it.

        Raises:
            RuleError: with every mistake in the rule lines of `text`; nothing is taken then.
        """
        told = units(text, self.schema, source)
        self._check_names(told, text, source)
        self._telling = 1 + max((e.turn for e in self._entries.values()), default=0), _last_of(transitions)
        results: dict[int, Told] = {}
        for i, unit in enumerate(told):
            if unit.rules:
                entries = tuple(self._add(rule, unit.sentence, source) for rule in unit.rules)
                doubts = [doubt for rule in unit.rules for doubt in warnings(rule, self.schema)]
                results[i] = Told(unit.sentence or entries[0].text, entries, reason="; ".join(doubts))
        silence = ""
        for i, unit in enumerate(told):
            if not unit.rules and silence:
                results[i] = Told(unit.sentence, fate="refused", reason=silence)
            elif not unit.rules:
                try:
                    results[i] = self._understand(unit.sentence, source, ask, confidence, transitions)
                except ModelUnavailable as error:
                    silence = f"{error}; write it as a rule line"
                    results[i] = Told(unit.sentence, fate="refused", reason=silence)
        return [results[i] for i in range(len(told))]

    def _understand(self, sentence: str, source: Source, ask: Ask | None, confidence: float,
                    transitions: Transitions | None) -> Told:
        origin = Origin.of(self.gateway, "translate") if self.gateway else None
        known: dict[str, str] = {}
        for entry in self.active():
            if entry.sentence and entry.is_told:
                known[entry.sentence] = "\n".join(filter(None, [known.get(entry.sentence), entry.claim]))
        found = self._translator.understood(sentence, list(known.items()), ask, confidence, transitions)
        entries = tuple(self._add(rule, sentence, source, origin) for rule in found.rules)
        doubts = "; ".join(doubt for rule in found.rules for doubt in warnings(rule, self.schema))
        return Told(sentence, entries, found.readings, found.fate, found.reason or doubts)

    def _check_names(self, told: Sequence[Unit], text: str, source: str) -> None:
        """Raise `RuleError` where a new rule would take a standing rule's name."""
        lines, errors = text.splitlines(), []
        for unit in told:
            for rule, line in zip(unit.rules, unit.lines, strict=True):
                if rule.name is None:
                    continue
                holder = next((e for e in self._entries.values() if e.rule.name == rule.name
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
        old = self._entries[self._claims[claim]] if claim in self._claims else None
        if old is None:
            self._last += 1
            entry = entry_of(f"r{self._last}", rule, sentence, source, origin)
        else:
            entry = self._retold(old, rule, sentence, source) if source in PEOPLE else old
        if entry.is_told and source in PEOPLE:
            turn, since = self._telling
            entry = entry.model_copy(update={"turn": turn, "since": since})
        return self._put(entry)

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

    def check(self, transitions: Transitions, model: WorldModel | None = None, held_out: Transitions | None = None,
              weight: np.ndarray | None = None) -> None:
        """Weigh every standing rule by all the given transitions, in the order they were lived, and set its status.
        A person's rule that they contradict is weighed by those alone that were lived after it was told.

        Replaces what was counted before, so that checking twice changes nothing. `weight [N]`, in 0 ... 1, says how
        much each transition counts. With a `model`, each rule's effect on its error is measured as well, on the
        transitions `held_out` from its training (all the given ones, if none are).
        """
        standing = [e for e in self._entries.values() if e.status != "retired"]
        self._judge(standing, transitions, weight)
        refuted = [e for e in standing if self._entries[e.id].status == "contradicted"]
        news = [e for e in refuted if e.is_told and e.since is not None]
        for since in {e.since for e in news}:
            later = np.flatnonzero(_are_after(transitions, since))
            told_then = [e for e in news if e.since == since]
            self._judge(told_then, transitions.take(later), None if weight is None else weight[later])
        if model is not None:
            self._measure_effects(model, transitions if held_out is None else held_out)

    def _judge(self, entries: Sequence[Entry], transitions: Transitions, weight: np.ndarray | None) -> None:
        found = weighed([e.rule for e in entries], self.schema, transitions, weight)
        for entry, (fit, evidence) in zip(entries, found, strict=True):
            self._entries[entry.id] = entry.judged(evidence, fit)

    def _measure_effects(self, model: WorldModel, unseen: Transitions) -> None:
        acting = {e.id: rule for e in self._entries.values() if e.status != "retired" and (rule := e.acting)}
        for id, found in zip(acting, effects(list(acting.values()), model, unseen, self.schema), strict=True):
            changes = {"effect": found.alone, "weight": found.weight, "is_harmful": found.is_harmful}
            self._entries[id] = self._entries[id].model_copy(update=changes)

    def examine(self, timeout_s: float = 30.0) -> list[Finding]:
        """What logic alone says of the standing rules: contradictions, redundant and idle rules, goals out of reach."""
        return examine(self.entries, self.schema, timeout_s)

    def propose(self, transitions: Transitions, surprise: np.ndarray | None = None,
                recollection: Recollection | None = None, lately: Transitions | None = None) -> list[Entry]:
        """Add the candidates that the miner, and the language model if there is one, find in the transitions, and the
        repairs of rules that are true but for an exception; return the new entries, checked. `surprise [N]`, in nats,
        says which transitions matter most. What a standing rule says in other words is no news. With a `recollection`
        the language model is shown what memory says to the surprises, and rules that act are remembered with theirs.
        What fails more often than not on the transitions `lately` (of a world that has changed) is not added."""
        found: list[tuple[Rule, Source]] = [(rule, "miner") for rule in mine(self.schema, transitions, surprise)]
        found += [(rule, "model") for rule in self._guessed(transitions, surprise, recollection)]
        found += [(repaired(e.rule, e.evidence.exception, self.schema), "miner") for e in self._entries.values()
                  if e.evidence.exception is not None and e.status != "retired"]
        known = {e.claim for e in self._entries.values()}
        new = {claim: pair for pair in reversed(found) if (claim := to_text(pair[0].statement)) not in known}
        if lately is not None:
            now = weighed([rule for rule, _ in new.values()], self.schema, lately)
            new = {claim: pair for (claim, pair), (_, evidence) in zip(new.items(), now, strict=True)
                   if evidence.violations <= evidence.hits}
        weights = weighed([rule for rule, _ in new.values()], self.schema, transitions)
        added = []
        for (rule, source), (fit, evidence) in reversed(list(zip(new.values(), weights, strict=True))):
            candidate = entry_of("", rule.model_copy(update={"name": None}), source=source).judged(evidence, fit)
            if candidate.acting is not None and candidate.status != "contradicted" and not self._says(candidate.rule):
                origin = Origin.of(self.gateway, "propose") if self.gateway and source == "model" else None
                entry = self._add(candidate.rule, "", source, origin).judged(evidence, fit)
                self._entries[entry.id] = entry
                added.append(entry)
        if recollection is not None:
            recollection.keep([e for e in self.corrections() if not e.is_told], transitions, surprise)
        return added

    def _says(self, rule: Rule) -> bool:
        """Whether some rule here, retired or not, is the same in other words."""
        return any(equivalent(rule, e.rule, self.schema) for e in self._entries.values())

    def _guessed(self, transitions: Transitions, surprise: np.ndarray | None,
                 recollection: Recollection | None) -> list[Rule]:
        """What the language model makes of the most surprising transitions; nothing where it does not answer."""
        if self.gateway is None or not len(transitions):
            return []
        try:
            people_first = sorted(self.active(), key=lambda e: not e.is_told)
            return guesses(self.schema, self.gateway, [e.text for e in people_first], transitions, surprise,
                           self.recent, recollection.lines if recollection else nothing)
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
        person's goes before the model's before the miner's, a person's newer one before the older, then the supported
        before the untested."""
        entries = self.corrections()
        acting = [rule for e in entries if (rule := e.acting) is not None]
        key = tuple((to_text(rule), _priority(e)) for rule, e in zip(acting, entries, strict=True))
        if self._compiled is None or self._compiled[0] != key or self._compiled[1].schema is not self.schema:
            self._compiled = key, Compiled(self.schema, acting, [priority for _, priority in key])
        return self._compiled[1]

    def refine(self, model: WorldModel, assimilate: Assimilate = "always", without: Collection[str] = ()) -> Refined:
        """The model corrected by the active rules, but for those with the ids `without`."""
        return Refined(model, self._except(without) if without else self.compiled(), assimilate)

    def _except(self, ids: Collection[str]) -> Compiled:
        entries = [e for e in self.corrections() if e.id not in ids]
        acting = [rule for e in entries if (rule := e.acting) is not None]
        return Compiled(self.schema, acting, [*map(_priority, entries)])

    def doubtful(self) -> list[Entry]:
        """What a person said of the next state, or that something pays nothing, is taken on trust, and never came true
        where it applied."""
        return [e for e in self._of(s.Expect, s.Always, s.Reward) if e.is_told and not e.evidence.hits
                and getattr(e.rule.statement, "amount", 0) == 0]

    def goals(self) -> list[Entry]:
        """The active `achieve` rules."""
        return self._of(s.Achieve)

    def limits(self) -> list[Entry]:
        """The active `avoid` and `maintain` rules."""
        return self._of(s.Avoid, s.Maintain)

    def preferences(self) -> list[Entry]:
        """The active `prefer` rules."""
        return self._of(s.Prefer)

    def definitions(self) -> list[Entry]:
        """The definitions (`let`) that stand, oldest first."""
        return [e for e in self._entries.values() if e.status != "retired" and isinstance(e.rule.statement, s.Let)]

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
        """Take a rule out of use, by its id or name, until it is revived or told again. Raises `UserError` for a
        definition that other rules use."""
        entry = self.entry(id)
        if isinstance(let := entry.rule.statement, s.Let):
            users = [e for e in self._entries.values() if e.status != "retired" and let.name in names(e.rule.statement)]
            if users:
                shown = ", ".join(f"{e.id} (`{e.text}`)" for e in users)
                raise UserError(f"'{let.name}' is used by {shown}; retire that first")
        return self._put(entry.retired())

    def accept(self, id: str) -> Entry:
        """Make a proposed rule one's own, by its id or name: it then acts as if it had been told. One that is retired
        is revived."""
        entry = self._vacant(self.entry(id))
        return self._put(self._retold(entry, entry.rule, "", "user"))

    def revive(self, id: str) -> Entry:
        """Bring a retired rule back, standing as its evidence says. Raises `UserError` if its name is taken by now, or
        a definition that it uses is gone or speaks of something else."""
        entry = self._vacant(self.entry(id))
        check(entry.rule, self.schema, source=places.Source(entry.text, entry.id))
        return self._put(entry.revived())

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
        self._claims.setdefault(entry.claim, entry.id)
        return entry

    # --- persistence ----------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write `rules.txt` and `rules.json` to a folder, each aside and renamed. What a person changed in `rules.txt`
        since it was loaded or saved is taken on first.

        Raises:
            UserError: `rules.txt` was changed and has mistakes; it stays as it is.
        """
        book = Book(tuple(self._entries.values()), self._book.lines, self._book.comments, self._last, self._book.seen)
        self._take(rulebook.save(Path(folder), book, self.world))

    def load(self, folder: Path) -> None:
        """Take on what a folder holds, in place of everything here. `rules.txt` says which rules there are: lines a
        person added or changed are theirs, lines that are gone are retired.

        Raises:
            RuleError: with every mistake in `rules.txt`.
            UserError: there are no rules in the folder, or `rules.json` is damaged.
        """
        self._take(rulebook.read(Path(folder), self.world))

    def _take(self, book: Book) -> None:
        self._book, self._last = book, book.last
        now = 1 + max((e.turn for e in book.entries), default=0)    # a line that a person has written into the file
        self._entries = {e.id: e if e.turn or not e.is_told else e.model_copy(update={"turn": now})
                         for e in book.entries}
        self._claims = {e.claim: e.id for e in reversed(book.entries)}


def _acts(entry: Entry) -> bool:
    rule = entry.acting
    if entry.status == "retired" or rule is None:
        return False
    if isinstance(entry.rule.statement, BEHAVIOUR):
        return entry.is_told
    if entry.is_told or entry.source == "examples":
        return entry.status != "contradicted"
    return entry.status == "supported" and not entry.is_harmful and not is_fallible(rule, entry.evidence)


def _priority(entry: Entry) -> float:
    rank = 4.0 + entry.turn if entry.is_told else {"examples": 3.0, "model": 2.0, "miner": 0.0}[entry.source]
    return rank + (0.5 if entry.is_told else 1.0) * (entry.status == "supported")


def _last_of(transitions: Transitions | None) -> tuple[int, int] | None:
    """(episode, t) of the last transition."""
    if transitions is None or not len(transitions):
        return None
    return max(zip(transitions.episode.tolist(), transitions.t.tolist(), strict=True))


def _are_after(transitions: Transitions, since: tuple[int, int] | None) -> np.ndarray:
    """Which transitions `[N]` were lived after (episode, t)."""
    if since is None:
        return np.ones(len(transitions), bool)
    episode, t = since
    return (transitions.episode > episode) | ((transitions.episode == episode) & (transitions.t > t))
