"""`gedanken reflect`: lessons from the episodes of a saved agent."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .output import note, printable, say, write_json


def reflect(
    folder: options.Folder,
    env: options.Env = None,
    llm: options.LLM = None,
    prompts: options.Prompts = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=1, help="Stop after about so long; go on next time.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Draw lessons from the episodes that none was drawn from yet, and show them.

    What happened and where is counted; a language model, if there is one, adds what it makes of that. Lessons are
    notes: they are shown to the language model when it proposes rules, and are never rules themselves.
    """
    from .worlds import config, load_agent

    agent = load_agent(folder, env, **options.llm(llm), config=config(prompts=prompts))
    try:
        report = agent.reflect(seconds)
        lessons = agent.mind.memory.note_table.get(report.lessons)
        if report.failure:
            note(f"the language model added nothing: {report.failure}")
        say(f"{report.episodes} episodes, {len(lessons)} new lessons, {report.superseded} gave way"
            + (", and more to come" if report.is_broken_off else ""))
        for lesson in lessons:
            say(f"  {printable(lesson.text)}  [{'counted' if lesson.origin == 'environment' else 'language model'}]")
        write_json(json, {
            "episodes": report.episodes, "superseded": report.superseded, "is_broken_off": report.is_broken_off,
            "failure": report.failure,
            "lessons": [{"id": one.id, "text": one.text, "origin": one.origin, "links": one.links} for one in lessons],
        })
    finally:
        agent.close()
