"""`gedanken memory show`: what a memory holds, and how much of it."""

from __future__ import annotations

from rich.text import Text

from .. import options
from ..output import out, say, table, write_json
from .opening import Memory, date, open_memory


def show(path: Memory, json: options.Json = None) -> None:
    """Show what a memory holds: worlds with their episodes and transitions, notes by kind and source, facts, skills and
    vectors.

    The environment is not needed; another process may be using the memory.
    """
    with open_memory(path) as memory:
        worlds, kinds, vectors = memory.worlds(), memory.kinds(), memory.vectors()
        facts = memory.facts.all()
        size = sum(file.stat().st_size for file in memory.path.parent.glob(f"{memory.path.name}*"))
        say(f"{memory.path}: {size / 1e6:,.1f} MB")
        shown = table("worlds", "features", "since", "episodes", "transitions", "imagined",
                      right=("episodes", "transitions", "imagined"), narrow=("since",))  # fmt: skip
        for world in worlds:
            features = ", ".join(f.name for f in world.layout.features)
            shown.add_row(Text(features), date(world.created), f"{world.episodes:,}", f"{world.transitions:,}",
                          f"{world.imagined:,}")  # fmt: skip
        out.print(shown)
        if kinds:
            shown = table("notes", "kind", "source", "origin", "notes", "superseded", "recalled",
                          right=("notes", "superseded", "recalled"))  # fmt: skip
            for kind, source, origin, *counts in kinds:
                shown.add_row(Text(kind), Text(source), origin, *(f"{count:,}" for count in counts))
            out.print(shown)
        now = sum(fact.until is None for fact in facts)
        say(f"{sum(k[3] for k in kinds):,} notes; {now:,} facts hold, {len(facts) - now:,} have ended")
        skills = memory.skills.all()
        say(f"{len(skills):,} skills, tried {sum(s.tried for s in skills):,} times in all, of which "
            f"{sum(s.worked for s in skills):,} worked")
        for name, count, numbers in vectors:
            say(f"{count:,} vectors of {numbers} numbers: {name}")
        write_json(json, {
            "path": str(memory.path), "bytes": size,
            "worlds": [{"id": w.id, "features": [f.name for f in w.layout.features], "created": w.created,
                        "episodes": w.episodes, "transitions": w.transitions, "imagined": w.imagined} for w in worlds],
            "notes": [dict(zip(("kind", "source", "origin", "notes", "superseded", "recalled"), k, strict=True))
                      for k in kinds],
            "facts": {"hold": now, "ended": len(facts) - now},
            "skills": [{"id": s.id, "purpose": s.purpose, "deeds": s.text.splitlines(), "source": s.source,
                        "tried": s.tried, "worked": s.worked, "used": s.used} for s in skills],
            "vectors": [dict(zip(("name", "count", "size"), v, strict=True)) for v in vectors],
        })  # fmt: skip
