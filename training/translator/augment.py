"""Other schemas for the same sentence, so that a translator reads the schema and does not remember the domain.

Features are renamed, dropped and borrowed, values renamed, descriptions left out, the order shuffled. Everything
here keeps the meaning of sentence and rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from gedanken.world.rules.text import RESERVED

from .amounts import literal
from .domain import Domain, Quantity, words_of
from .english import in_words

_GROUPS = (
    ["red", "green", "blue", "yellow", "purple", "orange", "black", "white", "grey", "brown", "pink", "silver"],
    ["apple", "pear", "plum", "cherry", "lemon", "peach", "melon", "fig", "grape"],
    ["iron", "copper", "silver", "gold", "tin", "lead", "zinc"],
    ["cat", "dog", "fox", "hare", "goat", "sheep", "cow", "horse", "hen"],
    ["key", "coin", "lamp", "rope", "book", "cup", "knife", "torch", "shovel", "hammer"],
    ["oak", "pine", "birch", "maple", "willow", "elm"],
    ["alpha", "beta", "gamma", "delta", "epsilon"],
    ["A", "B", "C", "D", "E", "F"],
)
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Draft:
    """A pair in the making; `schema` holds copies that may be changed."""

    schema: dict[str, Any]
    sentence: str
    rules: tuple[str, ...]

    @property
    def words(self) -> set[str]:
        return set().union(*map(words_of, self.rules)) if self.rules else set()


def augmented(draft: Draft, domain: Domain, others: list[Domain], rng: Random) -> Draft:
    """The same pair over another schema."""
    features, actions = ([dict(e) for e in draft.schema[k]] for k in ("features", "actions"))
    draft = Draft({"name": draft.schema["name"], "features": features, "actions": actions}, draft.sentence, draft.rules)
    if rng.random() < 0.75:
        _drop(draft, rng)
    if rng.random() < 0.5:
        _borrow(draft, rng.choice(others), rng)
    if rng.random() < 0.35:
        draft = _swap_values(draft, rng)
    if rng.random() < 0.5:
        draft = _rename(draft, {q.name: q for q in (*domain.features, *domain.actions)}, rng)
    _describe(draft, rng)
    for entries in (draft.schema["features"], draft.schema["actions"]):
        if rng.random() < 0.6:
            rng.shuffle(entries)
        for entry in entries:
            if entry.get("values") and rng.random() < 0.4:
                entry["values"] = dict(rng.sample(list(entry["values"].items()), len(entry["values"])))
    return draft


def _drop(draft: Draft, rng: Random) -> None:
    """Drop features, and values of categories, that the rules do not name."""
    needed, keep = draft.words, rng.choice((0.2, 0.5, 0.8))
    for key, share in (("features", keep), ("actions", max(keep, 0.7))):
        entries = draft.schema[key]
        kept = [e for e in entries if e["name"] in needed or set(e.get("values", ())) & needed or rng.random() < share]
        draft.schema[key] = kept or [rng.choice(entries)]
    sentence = draft.sentence.lower()
    for entry in draft.schema["features"] + draft.schema["actions"]:
        values = entry.get("values")
        if values and len(values) > 2 and rng.random() < 0.3:
            spare = [v for v in values if v not in needed and v.replace("_", " ").lower() not in sentence]
            gone = set(rng.sample(spare, min(len(spare), rng.randint(0, len(values) - 2))))
            entry["values"] = {v: g for v, g in values.items() if v not in gone}


def _borrow(draft: Draft, other: Domain, rng: Random) -> None:
    """Add features of another domain that the sentence does not speak of."""
    taken = _all_names(draft)
    sentence = draft.sentence.lower()
    free = [
        q
        for q in other.features
        if not {q.name, *q.values} & taken
        and not any(n.lower() in sentence for n in (*q.nouns, q.name.replace("_", " ")))
    ]
    for quantity in rng.sample(free, min(len(free), rng.randint(1, 3))):
        draft.schema["features"].append(dict(quantity.entry))


def _all_names(draft: Draft) -> set[str]:
    entries = draft.schema["features"] + draft.schema["actions"]
    return {e["name"] for e in entries} | {v for e in entries for v in e.get("values", ())} | draft.words


def _describe(draft: Draft, rng: Random) -> None:
    """Leave out descriptions, some or all; a name that says nothing keeps its own."""
    share = rng.choice((0.0, 0.0, 0.3, 1.0))
    for entry in draft.schema["features"] + draft.schema["actions"]:
        cryptic = entry.pop("cryptic", False)
        if not cryptic and entry.get("description") and rng.random() < share:
            entry["description"] = ""
        if entry.get("values") and rng.random() < share and not entry.get("glossed"):
            entry["values"] = {v: "" for v in entry["values"]}


def _replaced(rules: Iterable[str], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(_NAME.sub(lambda m: names.get(m[0], m[0]), rule) for rule in rules)


def _swap_values(draft: Draft, rng: Random) -> Draft:
    """Another word of the same family for a value (red -> blue), or other spelling (`open` -> `Open`)."""
    entries = [e for e in draft.schema["features"] + draft.schema["actions"] if e.get("values")]
    if not entries:
        return draft
    entry = rng.choice(entries)
    values, sentence, taken = list(entry["values"]), draft.sentence, _all_names(draft)
    names: dict[str, str] = {}
    shared = [v for v in values if sum(v in e["values"] for e in entries) > 1 or v in {e["name"] for e in entries}]
    style = rng.choice(("swap", "swap", "upper", "title", "prefix"))
    for value in values:
        if value in shared or not value.isidentifier():
            continue
        if style == "swap":
            group = next((g for g in _GROUPS if value in g), [])
            new = [
                w
                for w in group
                if w not in taken and w not in names.values() and not re.search(rf"\b{w}\b", sentence.lower())
            ]
            if new and not re.search(rf"\b{value}\w+\b", sentence.lower()):
                names[value] = rng.choice(new)
        elif rng.random() < 0.9:
            made = {
                "upper": value.upper(),
                "title": value.title().replace("_", ""),
                "prefix": f"{entry['name']}_{value}",
            }[style]
            if made not in taken and made not in RESERVED:
                names[value] = made
    if not names:
        return draft
    if style == "swap":
        sentence = re.sub(r"[A-Za-z]+", lambda m: _cased(names.get(m[0].lower(), m[0]), m[0]), sentence)
        entry["values"] = {names.get(v, v): "" if v in names else g for v, g in entry["values"].items()}
        if any(re.search(rf"\b{v}\b", entry.get("description") or "") for v in names):
            entry["description"] = ""
    else:
        entry["values"] = {names.get(v, v): g for v, g in entry["values"].items()}
    return Draft(draft.schema, sentence, _replaced(draft.rules, names))


def _cased(new: str, old: str) -> str:
    return new.capitalize() if old[:1].isupper() and new.islower() else new


def _rename(draft: Draft, quantities: dict[str, Quantity], rng: Random) -> Draft:
    """Other names for features and actions; the sentence stays as it is."""
    taken = _all_names(draft)
    values = {v for e in draft.schema["features"] + draft.schema["actions"] for v in e.get("values", ())}
    names: dict[str, str] = {}
    style = rng.choice(("mixed", "mixed", "mixed", "camel", "cryptic", "abbreviated"))
    for i, entry in enumerate(draft.schema["features"] + draft.schema["actions"]):
        old = entry["name"]
        if old in values or rng.random() < 0.35:
            continue
        quantity = quantities.get(old)
        kind = style if style != "mixed" else rng.choice(("noun", "noun", "affix", "camel", "abbreviated", "cryptic"))
        plain = old.replace("_", " ").lower()
        if re.search(rf"\b{plain}\b", draft.sentence.lower()) and (len(old) < 4 or kind in {"cryptic", "abbreviated"}):
            continue
        is_action = entry in draft.schema["actions"]
        new = _other_name(old, kind, quantity, is_action and entry["kind"] == "category", draft.schema["name"], i, rng)
        if new in taken or new in RESERVED or not new.isidentifier():
            continue
        taken.add(new)
        names[old] = new
        entry["name"] = new
        if kind in {"cryptic", "abbreviated"}:
            entry["cryptic"] = True
            if not entry.get("description"):
                entry["description"] = (
                    quantity.nouns[0] if quantity and quantity.nouns else old.replace("_", " ")
                ).removeprefix("the ")
    return Draft(draft.schema, draft.sentence, _replaced(draft.rules, names))


def _other_name(
    old: str, kind: str, quantity: Quantity | None, is_choice: bool, world: str, i: int, rng: Random
) -> str:
    if is_choice:
        return rng.choice(("action", "act", "move", "cmd", "command", "choice", "a", "control", "decision", "do_"))
    parts = old.split("_")
    if kind == "noun" and quantity and quantity.nouns:
        noun = re.sub(r"^(the|your|its|his|her|a|an) ", "", rng.choice(quantity.nouns).lower())
        new = re.sub(r"\W+", "_", noun).strip("_")
        return new if 1 < len(new) < 28 else old
    if kind == "affix":
        kinds = {
            "boolean": ("is_{}", "{}_on", "{}_flag", "has_{}"),
            "category": ("{}_state", "{}_kind", "{}_type", "{}_now"),
        }
        more = kinds.get(quantity.kind if quantity else "", ("{}_level", "{}_value", "{}_now", "cur_{}"))
        return rng.choice((*more, world.split("_")[0] + "_{}", "obs_{}", "my_{}", "{}_1", "the_{}")).format(old)
    if kind == "camel":
        camel = parts[0] + "".join(p.title() for p in parts[1:])
        return camel if len(parts) > 1 else old.title()
    if kind == "abbreviated":
        short = [
            p
            if len(p) < 4
            else p[0] + re.sub(r"[aeiou]", "", p[1:])[:3]
            if rng.random() < 0.5
            else p[: rng.randint(3, 4)]
            for p in parts
        ]
        return "_".join(short)
    return rng.choice(
        (
            f"f{i}",
            f"x{i}",
            f"{old[0]}{rng.randint(1, 9)}",
            f"s_{i}",
            f"var_{chr(97 + i % 26)}",
            f"{parts[0][0]}{parts[-1][0]}",
            f"q{i}",
        )
    )


def renumbered(draft: Draft, rng: Random) -> Draft:
    """Other numbers where the same digits (or word) stand once in the sentence and in the rules, inside all bounds."""
    text, rules = draft.sentence, draft.rules
    entries = {e["name"]: e for e in draft.schema["features"] + draft.schema["actions"]}
    bounds = [
        (e.get("low"), e.get("high"))
        for n, e in entries.items()
        if n in draft.words and e["kind"] in {"real", "integer"}
    ]
    fixed = {float(b) for pair in bounds for b in pair if b is not None}
    whole = "integer" in {entries[n]["kind"] for n in draft.words & set(entries)} or any("count(" in r for r in rules)
    for found in sorted(set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.%]*%)", " ".join(rules)))):
        value = float(found)
        if value <= 2 or value in fixed or rng.random() < 0.3:
            continue
        spelled = rf"(?<![\w.,/-]){re.escape(found)}(?![\w%/]|[.,]\d|-| ?(per ?cent|percent|out of|in ))"
        if value <= 100 and value == int(value) and not re.search(spelled, text):
            spelled = rf"(?<![\w-]){in_words(int(value))}(?![\w-]| times out| out of| in )"
        if len(re.findall(spelled, text)) != 1:
            continue
        near = value * rng.uniform(0.6, 1.5)
        new = float(round(near)) if value == int(value) or whole else round(near, len(found.partition(".")[2]))
        if value >= 50 and value % 5 == 0 and rng.random() < 0.8:
            new = float(5 * round(new / 5))
        inside = all(
            (low is None or new > low or low >= value) and (high is None or new < high or high <= value)
            for low, high in bounds
        )
        if new <= 2 or not inside or new in fixed or literal(new) in " ".join(rules):
            continue
        words = not re.search(rf"(?<![\w.]){re.escape(found)}(?![\w.]*\w)", text)
        said = in_words(int(new)) if words and new <= 100 and new == int(new) else literal(new)
        text = re.sub(spelled, said, text)
        rules = tuple(re.sub(rf"(?<![\w.]){re.escape(found)}(?![\w]|\.\d)", literal(new), r) for r in rules)
    return Draft(draft.schema, text, rules)
