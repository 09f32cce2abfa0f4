"""`gedanken imagine`: walk through the agent's imagination in a terminal, and tell it rules on the way."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..errors import GedankenError, UserError
from . import options
from .output import Interrupted, err, note, out, rules_table, say, say_error, table, write_json

if TYPE_CHECKING:
    from .session import Session, Step

HELP = """\
ACTION          imagine it: its name or the beginning of it (a number for a continuous one)
tell TEXT       a rule line or a sentence; it acts from the next step
rules           the rules with their evidence
plan [N]        let the planner go on, N steps of its plan at most
undo            take the last step back
reset [SEED]    begin anew
save            keep the rules told here
quit            leave (Ctrl-D does, too)"""


def imagine(
    folder: options.Folder,
    env: options.Env = None,
    actions: Annotated[
        str | None,
        typer.Option(
            "--actions",
            metavar="A,B,...",
            help="Imagine these and stop: names with commas (with ';' between actions of several parts).",
        ),
    ] = None,
    llm: options.LLM = None,
    prompts: options.Prompts = None,
    seed: options.Seed = 0,
    json: options.Json = None,
    budget: options.Budget = 40_000,
) -> None:
    """Step through what a saved agent imagines, see which rules change it, and tell it new ones on the way.

    Shows the state, asks for an action, and shows what the refined model imagines of it: what changes, the reward, and
    what each rule did to what the learned model alone would have said. Other commands: tell TEXT, rules, plan, undo,
    reset, save, quit. Works from a pipe, too; a mistake then ends it with exit code 2.
    """
    from .session import Session
    from .worlds import config, load_agent

    agent = load_agent(folder, env, **options.llm(llm), config=config(budget, prompts))
    try:
        session = Session(agent, seed)
        talk = Talk(session, folder)
        talk.show_state()
        if actions is not None:
            lines = [
                part.strip() for part in actions.split(";" if ";" in actions or len(agent.schema.actions) > 1 else ",")
            ]
            talk.follow(iter(lines), "--actions")
        elif sys.stdin.isatty():
            talk.converse()
        else:
            talk.follow((line.strip() for line in sys.stdin), "standard input")
        if talk.unsaved:
            note("rules told here are not kept in the folder; `save` keeps them")
        write_json(json, session.to_json())
    except KeyboardInterrupt:
        raise Interrupted("interrupted; rules told here are not kept, unless saved before") from None
    finally:
        agent.close()


class Talk:
    """The commands of the conversation over one session."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session, self.folder, self.unsaved = session, folder, False
        self.commands: dict[str, Callable[[str], None]] = {
            "tell": self.tell,
            "rules": self.rules,
            "plan": self.plan,
            "undo": self.undo,
            "reset": self.reset,
            "save": self.save,
            "help": lambda _: say(HELP),
        }

    def converse(self) -> None:
        """Ask for a line until the person leaves; a mistake is explained and forgiven."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - lines can be edited, and called back
        note(f"{self.session.choices()}\nalso: tell TEXT, rules, plan, undo, reset, save, help, quit")
        while True:
            try:
                line = err.input("\nimagine> ").strip()
            except EOFError:
                err.print()
                return
            if line in ("quit", "exit", "q"):
                return
            try:
                self.do(line)
            except GedankenError as error:
                say_error(str(error))

    def follow(self, lines: Iterator[str], where: str) -> None:
        """Do each line of a script; raise at the first mistake, with its place."""
        for number, line in enumerate(lines, 1):
            if line in ("quit", "exit", "q"):
                return
            try:
                self.do(line)
            except UserError as error:
                raise UserError(f"{where}, {number}: {error}") from error

    def do(self, line: str) -> None:
        """One line: an action, or a command."""
        if not line or line.startswith("#"):
            return
        word, _, rest = line.partition(" ")
        names = {v for a in self.session.agent.schema.actions for v in a.values}
        if word in self.commands and word not in names:
            self.commands[word](rest.strip())
            return
        self.show_step(self.session.step(self.session.parse_action(line)))
        self.show_state()

    def tell(self, text: str) -> None:
        from .telling import asker, told_table

        if not text:
            raise UserError("tell what? For example: tell forbid " + self._some_action())
        told = self.session.tell(text, asker())
        out.print(told_table(self.session.agent, told, "acts from the next step"))
        if any(not t.entries for t in told):
            raise UserError("; ".join(t.reason for t in told if not t.entries))
        self.unsaved = True

    def rules(self, _: str) -> None:
        entries = self.session.agent.rules
        if entries:
            out.print(rules_table(entries))
        else:
            say("no rules yet")

    def plan(self, rest: str) -> None:
        if rest and not rest.isdigit():
            raise UserError(f"plan takes a number of steps, not '{rest}'")
        steps, is_reached = self.session.plan(int(rest) if rest else None)
        from ..world.scenes import action_text, changes

        schema = self.session.agent.schema
        shown = table(
            "the plan, imagined" if is_reached else "the best that was found (it does not reach the objective)",
            "step",
            "action",
            "what changes",
            "reward",
            "rules",
            right=("step", "reward"),
            narrow=("action",),
        )
        first = len(self.session.steps) - len(steps) + 1
        for number, s in enumerate(steps, first):
            changed = [e.id for e in s.effects if e.how == "changed"]
            shown.add_row(
                str(number),
                action_text(schema, s.action),
                Text(", ".join(changes(schema, s.before, s.after, 1e-4))),
                f"{s.reward:.3g}",
                " ".join(changed),
            )
        out.print(shown)
        self.show_state()

    def undo(self, _: str) -> None:
        if not self.session.undo():
            raise UserError("this is the start: there is nothing to undo")
        self.show_state()

    def reset(self, rest: str) -> None:
        if rest and not rest.isdigit():
            raise UserError(f"reset takes a seed, a whole number, not '{rest}'")
        self.session.reset(int(rest) if rest else None)
        self.show_state()

    def save(self, _: str) -> None:
        self.session.agent.save(self.folder)
        self.unsaved = False
        say(f"saved in {self.folder}")

    def show_state(self) -> None:
        from .drawing import state_view

        out.print()
        out.print(state_view(self.session.agent.schema, self.session.row))
        if self.session.is_over:
            say(Text("the episode ends here", "bold"))

    def show_step(self, step: Step) -> None:
        """What is imagined of the action, then what each rule did to it."""
        from ..world.scenes import action_text, changes

        schema = self.session.agent.schema
        what = changes(schema, step.before, step.after, 1e-4)
        line = Text.assemble((action_text(schema, step.action), "bold"), ": ", ", ".join(what) or "nothing changes")
        if abs(step.reward) > 1e-3:
            line.append(f"; reward {step.reward:.3g}", "green" if step.reward > 0 else "red")
        if step.cont < 0.99:
            line.append(f"; goes on with probability {step.cont:.2f}", "yellow")
        if not step.is_feasible:
            line.append("; not allowed, or known to fail", "red")
        say(line)
        for e in step.effects:
            if e.how == "changed":
                say(
                    Text.assemble(
                        "  ", (e.id, "cyan"), f" {e.text}\n     changed what was learned: ", (", ".join(e.what), "cyan")
                    )
                )
            else:
                say(Text(f"  {e.id} {e.text}: agrees with what was learned", "dim"))

    def _some_action(self) -> str:
        first = self.session.agent.schema.actions[0]
        return first.values[0] if first.values else f"{first.name} > 0"
