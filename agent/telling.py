"""What an agent is told, what it makes of that, and what it says about it: one half of `Agent`, the slow one.

Rules come in as text (`tell`), are weighed by memory (`check`), found in it (`propose`), explained, and compiled anew
into whatever acts on them (`refresh`). Nothing here touches the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..world.charted import Charted
from ..world.explaining import Explanation, explain
from ..world.knowledge import Entry, Told
from ..world.rules.milestones import outcome
from ..world.rules.syntax import Achieve, Avoid, Maintain, Prefer
from ..world.schema import Schema
from ..world.training import Trainer
from . import learn as learning
from .adapting import Deployment
from .goals import Goal, Limit, Preference
from .journal import Journal
from .learn import Experience
from .mind import Mind
from .planning.objective import Curiosity, Objective, Return, Term
from .planning.subgoals import Subgoals
from .recalling import Recalling
from .reflecting import Reflecting
from .remembered import Remembered
from .setbacks import Band
from .shield import Shield

if TYPE_CHECKING:
    from .config import AgentConfig


class Telling(Reflecting):
    """A mind that can be told rules. `trained_on` is how many transitions the model was trained on last."""

    config: AgentConfig
    schema: Schema
    mind: Mind
    experience: Experience
    trainer: Trainer | None
    trained_on: int
    shared: Experience | None  # of a variant: what the weights that it shares were trained on
    recalling: Recalling
    journal: Journal
    deployment: Deployment | None

    def tell(self, text: str, source: str = "user", ask: Callable[..., int | None] | None = None) -> list[Told]:
        """Tell rules: lines of the rule language, English sentences, or a manual of both.

        Returns what became of each line or sentence. Raises `RuleError` with every mistake in the rule lines at
        once; a sentence that is not understood with confidence is shown through `ask`, or refused in the answer.
        """
        seen = self.mind.memory.transitions() if len(self.mind.memory) else None    # a reading they refute goes down
        told = self.mind.knowledge.tell(text, source=source, ask=ask, transitions=seen)  # type: ignore[arg-type]
        self.refresh()
        self.journal.told(self, told, source)  # type: ignore[arg-type]
        return told

    @property
    def rules(self) -> list[Entry]:
        """Every rule with its source, status and evidence."""
        return self.mind.knowledge.entries

    def check(self, effects: bool = True) -> list[Entry]:
        """Weigh every rule by all of memory, and set the statuses; with a trained model and `effects`, measure as well
        what each rule changes in its error on transitions held out from training."""
        mind, unseen = self.mind, self.mind.replay.transitions(held_out=True)
        is_trained = self.trainer is not None and self.trained_on > 0
        model = mind.learned if effects and is_trained and len(unseen) else None
        mind.knowledge.check(mind.memory.transitions(), model, unseen)
        self.refresh()
        return self.rules

    def propose(self) -> list[Entry]:
        """Let the miner, and the language model if there is one, propose rules from what is in memory; in a world that
        has changed since the agent was deployed, such as hold in it."""
        seen = self.mind.memory.transitions()
        recollection = self.recollection()
        alone = self.mind.knowledge.refine(self.mind.learned)  # what was lived does not surprise who recalls it
        surprise = learning.surprises(alone, self.experience, seen)
        lately = None
        if self.deployment and self.deployment.has_changed:
            lately = seen.take(np.flatnonzero(self.deployment.since(seen)))
            present = self.deployment.present(seen, surprise)
            seen, surprise = seen.take(np.flatnonzero(present)), surprise[present]
        entries = self.mind.knowledge.propose(seen, surprise, recollection, lately)
        self.refresh()
        self.mind.recent.recalled += recollection.recalled if recollection else []
        return entries

    def explain(self, rule: str, most: int = 3) -> Explanation:
        """A rule, by its id or name, in words: where it applied last, what it changes there of what the learned model
        predicts, and the newest transitions for and against it. Raises `UserError` for an unknown one."""
        mind = self.mind
        return explain(mind.knowledge.entry(rule), self.schema, mind.memory.transitions(), mind.learned, most)

    def refresh(self) -> None:
        """Compile the active rules anew into the imagining model, the shield, the limits and the objective."""
        mind = self.mind
        version = self.trainer.steps_done if self.trainer else 0
        mind.recalled = self.recalling.beside(mind.learned, self.experience, version)
        refined = mind.knowledge.refine(mind.recalled)
        charted = Charted(refined, self.schema.sight) if self.schema.sight else refined
        mind.imagining = Remembered(charted, mind.failures)
        mind.setbacks.apply(mind)
        mind.limits = [
            Limit.of(mind.knowledge.schema, e.rule.statement, e.text)
            for e in mind.knowledge.limits()
            if isinstance(e.rule.statement, Avoid | Maintain)
        ]
        mind.limits, mind.bounds = self._calibrated(mind.limits), self._calibrated(mind.bounds)
        mind.band = None if self._lived is None else Band.of(mind.recalled, self._lived)
        mind.shield = self._shield()
        mind.memory.rules.record([e.standing for e in mind.knowledge.entries], mind.memory.position())

    def confine(self, limits: Sequence[Limit]) -> None:
        """Keep an instruction's limits, too, in plans and by the shield, until the episode ends; `()` lifts them."""
        mind = self.mind
        if not limits and not mind.bounds:
            return
        mind.bounds = self._calibrated(list(limits))
        mind.shield = self._shield()

    @property
    def _lived(self) -> Experience | None:
        """What tells how far the model errs; None where it never learned."""
        return self.shared or (self.experience if self.trained_on else None)

    def _calibrated(self, limits: list[Limit]) -> list[Limit]:
        """The limits with the margins that the imagining model asks for."""
        lived = self._lived
        return limits if lived is None else learning.calibrate(self.mind, lived, limits, self.config.violations)

    def _shield(self) -> Shield:
        # What a model that never learned says of many steps ahead would stop whatever is tried.
        learned = self._lived is not None or not self.trainer
        config, mind = self.config.shield if learned else replace(self.config.shield, horizon=1), self.mind
        return Shield(mind.knowledge.schema, mind.knowledge.compiled(), [*mind.limits, *mind.bounds], config)

    def goals(self) -> list[Achieve]:
        """What it is to reach: the goals it was told, or the errand it is on."""
        told = [e.rule.statement for e in self.mind.knowledge.goals() if isinstance(e.rule.statement, Achieve)]
        return list(self.mind.errand) or told

    def objective(self, exploring: bool = False) -> Objective:
        """What the agent is after: its goals, the return, its preferences, less what its limits exclude; what its model
        does not know counts for it, curious and `exploring`, or against it, where it is cautious."""
        kb = self.mind.knowledge
        goals: list[Term] = [Goal(kb.schema, statement) for statement in self.goals()]
        wishes: list[Term] = [
            Preference(kb.schema, e.rule.statement) for e in kb.preferences() if isinstance(e.rule.statement, Prefer)
        ]
        wanted = [after for statement in self.goals() for condition in statement.conditions
                  if (after := outcome(condition, kb.schema)) is not None]
        rules = [rule for e in kb.active() if (rule := e.acting) is not None]
        c = self.config
        weight = c.curiosity if exploring and c.exploration == "curious" else -c.caution
        unknown = [Curiosity(weight)] if weight else []
        paid = Return(target=float("inf") if goals else 0.5)
        learned = self.mind.skills.leading(kb.schema, wanted) if c.skills else ()
        return Objective([*goals, paid, *wishes, *self.mind.limits, *self.mind.bounds, *unknown],
                         subgoals=Subgoals.of(kb.schema, rules, wanted, learned=learned))
