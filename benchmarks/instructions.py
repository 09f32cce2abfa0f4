"""Instructions in many voices: how many are understood as meant, asked back, refused, or wrongly understood.

    python benchmarks/instructions.py [--quick] [--seed 0] [--json PATH] [--part voices_4] [--show]

Sentences with what they mean stand in `data/instructions/`. All there are now were looked at, so their shares are
development figures; what each set gave when it was first measured stands in its head and in README.md. A new set is
held out as `held_out.txt`, of which `--show` prints nothing. On boards the meaning is given in plain sentences that the
tests hold against BabyAI's own verifier, elsewhere as rule lines. BabyAI's missions are sampled from all its levels:
each is to mean what its own instruction tree, walked through by `told`, says. Two goals are the same where their
automata are, in one order of what has none, and what they speak of is the same things; a limit is the same as `avoid`
or `maintain`; conditions on quantities are the same where they agree on 2,000 random states.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import minigrid  # noqa: F401  registers the environments
import numpy as np
from common import Figures, options
from instruction_worlds import WORLDS, signature
from intervals import share

from gedanken.agent.instructions import understand
from gedanken.errors import UserError
from gedanken.world.schema import Schema

HERE = Path(__file__).parent / "data" / "instructions"
FATES = ("understood", "asked or refused", "wrong")


@dataclass(frozen=True)
class Case:
    """What is said in which world, and what it means; `?` where no one reading is the right one."""

    world: str
    text: str
    meaning: str


def cases(path: Path) -> list[Case]:
    rows = [line.split(" | ") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [Case(*(part.strip() for part in row)) for row in rows]


def fate(case: Case) -> tuple[str, str]:
    """What became of a sentence, and what it was understood as, or why not. A question where there was to be one, and
    no sentence understood that has no one meaning, count as understood."""
    schema, row = WORLDS[case.world]
    try:
        found = understand(case.text, schema, row)
    except UserError as error:
        return ("understood" if case.meaning == "?" else "asked or refused"), str(error)
    said = " ; ".join(found.lines)
    if case.meaning == "?":
        return "wrong", said
    is_meant = signature(found.lines, schema, row) == signature(meant(case), schema, row)
    return "understood" if is_meant else "wrong", said


def meant(case: Case) -> tuple[str, ...]:
    if case.world == "board" and not case.meaning.startswith(("achieve ", "avoid ", "maintain ")):
        schema, row = WORLDS["board"]
        return understand(case.meaning, schema, row).lines
    return tuple(case.meaning.split(" ; "))


def missions(n: int, seed: int) -> list[tuple[str, str, str]]:
    """BabyAI's missions over all levels, in turn: (level, mission, fate)."""
    levels = sorted(name for name in gymnasium.registry if name.startswith("BabyAI-"))
    found = []
    for i in range(n):
        level = levels[i % len(levels)]
        env = gymnasium.make(level)
        observation, _ = env.reset(seed=seed + i)
        schema = Schema.from_env(env)
        row = {k: np.asarray(v) for k, v in schema.perceive(observation, env).items()}
        wanted = told(env.unwrapped.instrs)  # type: ignore[attr-defined]
        try:
            lines = understand(observation["mission"], schema, row).lines
            same = signature(lines, schema, row) == signature(understand(wanted, schema, row).lines, schema, row)
            found.append((level, f"{observation['mission']} -> {lines}", "understood" if same else "wrong"))
        except UserError as error:
            found.append((level, f"{observation['mission']}: {error}", "asked or refused"))
        env.close()
    return found


def told(tree: Any) -> str:
    """An instruction tree of BabyAI's in plain sentences, one clause a leaf, in the order the verifier demands."""
    kind = type(tree).__name__
    match kind:
        case "BeforeInstr":
            return f"{told(tree.instr_a)}, then {told(tree.instr_b)}"
        case "AfterInstr":
            return f"{told(tree.instr_b)}, then {told(tree.instr_a)}"
        case "AndInstr":
            return f"{told(tree.instr_a)} and {told(tree.instr_b)}"
        case "PutNextInstr":
            return f"put {thing(tree.desc_move)} next to {thing(tree.desc_fixed)}"
    verb = {"GoToInstr": "go to", "PickupInstr": "pick up", "OpenInstr": "open"}[kind]
    return f"{verb} {thing(tree.desc)}"


def thing(desc: Any) -> str:
    """What the verifier takes: any of the things that fit its description."""
    side = {"left": "on your left", "right": "on your right", "front": "in front of you", "behind": "behind you"}
    parts = ["a", desc.color or "", desc.type or "object", side.get(desc.loc or "", "")]
    return " ".join(p for p in parts if p)


def main() -> None:
    args = options(
        __doc__ or "",
        missions=(int, 600, "BabyAI missions"),
        part=(str, "", "only this file of sentences"),
        show=(bool, False, "print what was not understood as meant (of the held-out part never)"),
    )
    figures = Figures()
    for path in sorted(HERE.glob(f"{args.part or '*'}.txt")):
        judged = [(case, *fate(case)) for case in cases(path)]
        _add(figures, path.stem.replace("_", " "), [f for _, f, _ in judged])
        for world in WORLDS:
            of_world = [f for c, f, _ in judged if c.world == world]
            _add(figures, f"{path.stem.replace('_', ' ')}, {world}", of_world, short=True)
        if args.show and path.stem != "held_out":
            for case, found, why in judged:
                if found != "understood":
                    print(f"    {found}: {case.world}: {case.text}\n      meant {case.meaning}\n      found {why}")
    if not args.part:
        judged_ = missions(60 if args.quick else args.missions, 9_000_000 + args.seed)
        _add(figures, "BabyAI's missions", [f for *_, f in judged_])
        if args.show:
            print(*(f"    {row}" for row in judged_ if row[2] != "understood"), sep="\n")
    figures.write(args.json)


def _add(figures: Figures, name: str, fates: list[str], short: bool = False) -> None:
    counted, n = Counter(fates), len(fates)
    for kind in FATES[:1] if short else FATES:
        figures.add(f"{name}: {kind}", [float(f == kind) for f in fates], "share", "0" if kind == "wrong" else "",
                    found=share(counted[kind], n))


if __name__ == "__main__":
    main()
