"""Forms of English words: what a verb of a schema looks like in a sentence, and a noun in the plural."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Form = Literal["base", "s", "ing", "ed"]
FORMS: tuple[Form, ...] = ("base", "s", "ing", "ed")
_IRREGULAR = {
    "go": ("went", "gone"), "take": ("took", "taken"), "put": ("put",), "let": ("let",), "set": ("set",),
    "break": ("broke", "broken"), "light": ("lit", "lighted"), "run": ("ran", "run"), "sell": ("sold",),
    "buy": ("bought",), "build": ("built",), "feed": ("fed",), "eat": ("ate", "eaten"), "drink": ("drank", "drunk"),
    "drive": ("drove", "driven"), "ride": ("rode", "ridden"), "fly": ("flew", "flown"), "shut": ("shut",),
    "cut": ("cut",), "hit": ("hit",), "hold": ("held",), "keep": ("kept",), "leave": ("left",), "make": ("made",),
    "give": ("gave", "given"), "get": ("got",), "send": ("sent",), "spend": ("spent",), "sleep": ("slept",),
    "stand": ("stood",), "sit": ("sat",), "steal": ("stole", "stolen"), "swim": ("swam", "swum"), "bring": ("brought",),
    "catch": ("caught",), "dig": ("dug",), "do": ("did", "done"), "draw": ("drew", "drawn"), "fall": ("fell", "fallen"),
    "fight": ("fought",), "find": ("found",), "freeze": ("froze", "frozen"), "grow": ("grew", "grown"),
    "hide": ("hid", "hidden"), "lay": ("laid",), "lead": ("led",), "lose": ("lost",), "pay": ("paid",),
    "read": ("read",), "rise": ("rose", "risen"), "sink": ("sank", "sunk"), "throw": ("threw", "thrown"),
    "win": ("won",), "write": ("wrote", "written"), "spread": ("spread",), "burn": ("burnt", "burned"),
    "be": ("was", "been"), "have": ("had",), "drop": ("dropped",), "stick": ("stuck",),
}
_VOWELS = "aeiou"
_DOUBLING = frozenset({"stop", "drop", "jam", "plan", "tap", "pat", "pot", "trim", "trip", "wrap", "zip", "grab", "rob",
                       "run", "cut", "hit", "let", "set", "put", "get", "sit", "dig", "swim", "win", "shut", "plug",
                       "scan", "ship", "skip", "slip", "snap", "step", "strip", "tip", "top", "pin", "mop", "hop",
                       "chop", "clap", "dip", "flip", "fit", "hug", "knit", "log", "map", "nod", "pet", "rub", "sip",
                       "slap", "spin", "spot", "stir", "swap", "tag", "vet", "wag", "refit", "reset", "unplug"})


@lru_cache(maxsize=10_000)
def forms(verb: str) -> dict[str, Form]:
    """The forms of one verb in lower case: `{"open": "base", "opens": "s", "opening": "ing", "opened": "ed"}`."""
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) else verb
    double = verb + verb[-1] if verb in _DOUBLING else stem
    soft = verb.endswith("y") and verb[-2:-1] not in _VOWELS
    third = verb[:-1] + "ies" if soft else verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
    past = _IRREGULAR.get(verb, (verb[:-1] + "ied" if soft else f"{double}ed",))
    going = f"{verb[:-2]}ying" if verb.endswith("ie") else f"{double}ing"
    other: dict[str, Form] = {"is": "s", "are": "s"} if verb == "be" else {}
    every: dict[str, Form] = {**dict.fromkeys(past, "ed"), going: "ing", third: "s", verb: "base", **other}
    return every


@lru_cache(maxsize=10_000)
def verb_of(participle: str) -> str:
    """The verb behind a state: `locked` is lock, `open` open; "" where none shows."""
    if participle in {"open", "shut", "empty", "clean", "dry", "warm", "cool", "free", "ready"}:
        return participle
    for verb, past in _IRREGULAR.items():
        if participle in past:
            return verb
    if participle.endswith("ed") and len(participle) > 4:
        stem = participle[:-2]
        options = (stem[:-1] if stem[:-1] in _DOUBLING else stem, stem + "e", stem[:-1] + "y")
        found = [v for v in options if forms(v).get(participle) == "ed"]
        lasting = [v for v in found if v.endswith("e") == _takes_e(stem)]
        return next(iter(lasting or found), "")
    return ""


def _takes_e(stem: str) -> bool:
    """Whether a stem is likely to end on a silent e: clos(e), rais(e), but lock, soak, jam."""
    return stem.endswith(("s", "v", "c", "g", "z", "u", "at", "ir", "in", "ov", "ad", "pl", "bl", "dl", "tl")) and \
        not stem.endswith(("ss", "ain", "een", "een", "oin"))


@lru_cache(maxsize=10_000)
def numbers_of(noun: str) -> tuple[str, ...]:
    """A noun in the singular and in the plural, whichever it is: `key` and `keys`."""
    if len(noun) < 3 or not noun.isalpha():
        return (noun,)
    if noun.endswith("ies"):
        return noun, noun[:-3] + "y"
    if noun.endswith(("ches", "shes", "xes", "sses")):
        return noun, noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is")):
        return noun, noun[:-1]
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return noun, noun[:-1] + "ies"
    return noun, noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
