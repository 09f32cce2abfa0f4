"""An episode live in the terminal: the board with the plan's path, and beside it the plan, the rules that fire, what
was expected, and the goal's progress."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..world.scenes import value_text
from .drawing import board_text, captions, is_drawable, legend, scalars
from .output import err
from .scene import Scene


class Terminal:
    """Draws every moment on standard error; `speed` moments a second where somebody sits at a terminal."""

    def __init__(self, speed: float) -> None:
        self.pause = 1 / speed if err.is_terminal else 0.0
        self.live = Live(console=err, auto_refresh=False, transient=True)

    def __enter__(self) -> Terminal:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, scene: Scene) -> None:
        self.live.update(view(scene), refresh=True)
        time.sleep(self.pause)


def view(scene: Scene) -> RenderableType:
    """A scene as the terminal shows it."""
    schema, row = scene.schema, scene.observed
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("doing", Text(scene.doing or "the episode is over", "bold"))
    facts.add_row("plan", Text(" → ".join(scene.coming) or "none beyond this step", "cyan" if scene.coming else "dim"))
    if scene.shielded:
        facts.add_row("shield", Text(scene.shielded, "red"))
    rules = Text("\n").join(Text(rule, "yellow") for rule in scene.active) or Text("none fires", "dim")
    facts.add_row("active rules", rules)
    facts.add_row("expected", _expected(scene))
    for i, (done, text) in enumerate(scene.ticks()):
        facts.add_row("goal" if not i else "", Text.assemble(("✓ ", "green") if done else ("· ", "dim"), text))
    for f in captions(schema) if is_drawable(schema) else scalars(schema):
        facts.add_row(f.name, value_text(f, row[f.name]) + (f" {f.unit}" if f.unit else ""))
    head = Text.assemble((f"episode {scene.episode}, step {scene.t}", "bold"), f"   return {scene.total:.3g}")
    if not is_drawable(schema):
        return Group(head, facts)
    page = Table.grid(padding=(0, 4, 0, 0))
    page.add_row(board_text(schema, row, scene.path), facts)
    return Group(head, page, Text(legend(schema, row), "dim"))


def _expected(scene: Scene) -> Text:
    if not scene.is_expected:
        return Text("nothing yet", "dim")
    return Text("; ".join(scene.otherwise), "red") if scene.otherwise else Text("as it came", "green")


