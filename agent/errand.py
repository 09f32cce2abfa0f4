"""An errand: an instruction understood as a goal, pursued for one episode, told step by step, and forgotten.

What is not understood as a goal is asked about, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..errors import UserError, nearest
from ..world.knowledge import KnowledgeBase
from ..world.rules.source import RuleError
from ..world.rules.syntax import Achieve, Avoid, Maintain, Rule
from ..world.rules.text import to_text
from ..world.scenes import row_of
from .environment import blamed
from .episodes import TOLD, play
from .goals import Limit
from .instructions import Ask, Instruction, understand
from .instructions.readings import Ambiguous
from .mind import Pursuit
from .results import EpisodeResult
from .tools import action_text, changes, foresee

if TYPE_CHECKING:
    from .agent import Agent


class Task(TypedDict, total=False):
    """What to do: an instruction in words or as `achieve ...` lines (without one, the standing goals are pursued), the
    seed the environment is reset with, a limit of steps, and whether the goal stays after the run."""

    instruction: str
    seed: int
    max_steps: int
    keep: bool


class Moment(TypedDict):
    """One step: what the agent saw change, what it does and imagines of that, the rules whose condition that meets, the
    rule that made the shield step in, and the reward of the step before. `did` is None where the run ends."""

    event: Literal["step"]
    t: int
    saw: str
    did: str | None
    imagined: str
    rules: list[str]
    shielded: str
    reward: float


class Reply(TypedDict):
    """What a run came to. Where there is a `question`, the instruction was not understood and nothing was done.
    `setbacks` are the steps that did not do what was imagined, `obstacle` is why the goal was not reached, in words."""

    event: Literal["end"]
    instruction: str
    goal: list[str]
    question: str
    solved: bool
    total_reward: float
    steps: int
    seed: int | None
    layout: str
    setbacks: list[str]
    obstacle: str


Event = Moment | Reply
_LINE = ("achieve ", "avoid ", "maintain ", "forbid ", "expect ", "prefer ")


def task_of(given: Any) -> Task:
    """A task from a text, a message or prompt of LangChain's, or a mapping; in a mapping, what a `Reply` says is passed
    over, so that the state of a graph serves. Raises `UserError` for anything else."""
    if isinstance(given, str):
        return Task(instruction=given)
    if not isinstance(given, Mapping):
        if hasattr(given, "to_messages"):
            given = given.to_messages()[-1]
        text = getattr(given, "text", None)
        if not isinstance(text, str):
            raise UserError(f"an instruction is a text, or a mapping as in {{'instruction': 'pick up the key'}}, not "
                            f"{type(given).__name__}")  # fmt: skip
        return Task(instruction=str(text))
    kinds = {"instruction": str, "seed": int, "max_steps": int, "keep": bool}
    for name, value in given.items():
        if name not in kinds and name not in Reply.__annotations__:
            raise UserError(f"a task has no {name!r}{nearest(str(name), kinds)}; it has {', '.join(kinds)}")
        if name in kinds and value is not None and not isinstance(value, kinds[name]):
            raise UserError(f"the {name} of a task is {value!r:.60}; give {kinds[name].__name__}")
    return Task(**{name: given[name] for name in kinds if given.get(name) is not None})  # type: ignore[typeddict-item]


def run(agent: Agent, task: Task) -> Generator[Event, None, None]:
    """An episode, a moment a step and a reply at its end; what it was told for it does not stay."""
    instruction, seed = task.get("instruction", ""), task.get("seed", agent.seed + 1_000_000)
    lines, question = [to_text(statement) for statement in agent.goals()], ""
    try:
        with blamed(f"at reset(seed={seed})"):
            observation, _ = agent.env.reset(seed=seed)
            agent.reset(observation)
        if instruction.strip():
            try:
                lines = list(instructed(agent, instruction).lines)
            except UserError as error:
                question, lines = str(error), []
        reply = Reply(event="end", instruction=instruction, goal=lines, question=question, solved=False,
                      total_reward=0.0, steps=0, seed=None, layout="", setbacks=[], obstacle="")  # fmt: skip
        if question:
            yield reply
            return
        if task.get("keep") and instruction.strip():
            agent.tell("\n".join(lines))
        result = yield from _moments(agent, play(agent, seed, observation, task.get("max_steps")))
        yield reply | Reply(event="end", instruction=instruction, goal=lines, question="", solved=result.solved,
                            total_reward=result.total_reward, steps=result.steps, seed=seed, layout=result.layout,
                            setbacks=[str(setback) for setback in agent.setbacks[:TOLD]],
                            obstacle="" if result.solved else str(agent.why_not()))
    finally:
        agent.end_episode()


def _moments(
    agent: Agent, playing: Generator[bool, None, EpisodeResult]
) -> Generator[Moment, None, EpisodeResult]:
    mind, schema, before, decided = agent.mind, agent.mind.knowledge.schema, None, 0
    for t in range(2**31):
        try:
            goes_on = next(playing)
        except StopIteration as end:
            result: EpisodeResult = end.value
            return result
        assert mind.features is not None
        assert mind.belief is not None
        saw = "the episode begins" if before is None else changes(schema, before, mind.features)
        moment = Moment(event="step", t=t, saw=saw, did=None, imagined="", rules=[], shielded="", reward=mind.reward)
        if goes_on and agent.pending is not None:
            step = foresee(mind, mind.belief, mind.features, agent.pending)
            moment["did"] = action_text(agent.pending[0], schema)
            moment["imagined"], moment["rules"] = step.text, list(step.rules)
            moment["shielded"] = "; ".join(decision.rule for decision in mind.decisions[decided:])
        before, decided = dict(mind.features), len(mind.decisions)
        yield moment
    raise AssertionError("an episode that never ends")


def instructed(agent: Agent, text: str, ask: Ask | None = None) -> Instruction:
    """Understand an instruction against what the agent believes now, and pursue it instead of the standing goals until
    the episode ends. Raises `UserError` where it is not understood, or may mean several things and nobody is asked."""
    mind, schema = agent.mind, agent.mind.knowledge.schema
    words: UserError | None = None
    found: Instruction | None = None
    if mind.features is not None and not text.lstrip().startswith(_LINE):
        try:
            found = understand(text, schema, row_of(mind.features), ask)
        except Ambiguous:
            raise
        except UserError as error:
            words = error
    if found is None:
        rules, question = _understood(agent, text)
        if question or not rules:
            raise words or UserError(question or "an instruction of no words asks for nothing")
        found = Instruction(text, rules, schema)
    mind.errand = found.goals
    agent.confine([Limit.of(schema, limit, to_text(limit)) for limit in found.limits])
    if mind.features is not None:
        objective = agent.objective()
        mind.pursuit = Pursuit(objective, objective.start(mind.features))
    return found


def _understood(agent: Agent, instruction: str) -> tuple[tuple[Rule, ...], str]:
    """The goals and limits that words mean to the reader of rules and the language model, or what there is to ask about
    them. Nothing is told."""
    known = agent.mind.knowledge
    aside = KnowledgeBase(known.schema, known.gateway, known.recent)
    try:
        told = aside.tell(instruction, transitions=agent.mind.memory.transitions() if len(agent.mind.memory) else None)
    except RuleError as error:
        return (), str(error)
    for one in told:
        if not one.entries:
            meanings = "".join(f"\n  {text}" for text, _ in one.readings)
            return (), f"{one.sentence!r} is not understood: {one.reason or one.fate}" + (
                f". Does it mean one of these?{meanings}" if meanings else "")  # fmt: skip
    for entry in aside.entries:
        if not isinstance(entry.rule.statement, Achieve | Avoid | Maintain):
            return (), (f"{instruction!r} means `{entry.text}`, which is neither a goal nor a limit for a run; tell it "
                        "with agent.tell(...), or ask for a state to be reached or kept")  # fmt: skip
    return tuple(entry.rule for entry in aside.entries), ""
