"""`gedanken rules`: the rules of a saved agent, from telling to export; one file a command or a few of a kind."""

from __future__ import annotations

import typer

from ..output import reported
from .examine import examine
from .examples import examples
from .exchange import export, import_
from .explain import explain
from .propose import propose
from .show import show
from .standing import check, list_rules, retire, revive
from .tell import tell

rules = typer.Typer(no_args_is_help=True, help="Tell, check, explain and exchange the rules of a saved agent.")
rules.command("tell", short_help="Tell rule lines or sentences.")(reported(tell))
rules.command("check", short_help="Count all evidence anew.")(reported(check))
rules.command("propose", short_help="Find rules in what is remembered.")(reported(propose))
rules.command("examples", short_help="Find rules in a file of examples.")(reported(examples))
rules.command("list", short_help="List the rules.")(reported(list_rules))
rules.command("show", short_help="All that is known of one rule.")(reported(show))
rules.command("test", short_help="Check a file of rules, without an agent.")(reported(examine))
rules.command("explain", short_help="What a rule does, and what speaks for it.")(reported(explain))
rules.command("retire", short_help="Take a rule out of use.")(reported(retire))
rules.command("revive", short_help="Bring a retired rule back.")(reported(revive))
rules.command("export", short_help="Write the rules as text or JSON.")(reported(export))
rules.command("import", short_help="Take in another agent's rules.")(reported(import_))
