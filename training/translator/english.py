"""English at the level of words: verb forms, numbers in words, agreement, and the slips of a hasty hand.

Everything works on plain strings; where a form cannot be made with confidence, the function returns None.
"""

from __future__ import annotations

import re
from random import Random

from .banks import bank

_IRREGULAR: dict[str, list[str]] = bank("verbs")
"""Base -> third person, gerund, participle, where the spelling rules below fail."""
_COMMON = set(
    [
        "look",
        "walk",
        "wait",
        "turn",
        "push",
        "pull",
        "move",
        "press",
        "use",
        "roll",
        "jump",
        "close",
        "lock",
        "start",
        "switch",
        "work",
        "pour",
        "fill",
        "pass",
        "count",
        "pack",
        "push",
        "listen",
        "rest",
        "check",
        "return",
        "watch",
    ]
)
_VOWELS = "aeiou"
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}


def _head(phrase: str) -> tuple[str, str, str]:
    """Split off adverbs before the verb ("carefully push it") and what follows it."""
    words = phrase.split(" ")
    at = 1 if len(words) > 1 and words[0].endswith("ly") and words[0] not in {"fly", "apply", "rely", "supply"} else 0
    return " ".join(words[:at]) + " " * at, words[at], "".join(" " + w for w in words[at + 1 :])


def _doubles(verb: str) -> bool:
    """Whether the last consonant doubles before -ing and -ed: a short verb of one syllable, as in `stop`."""
    return len(re.findall(r"[aeiouy]+", verb)) == 1 and bool(re.search(r"[^aeiou][aeiou][bdgklmnprt]$", verb))


def _regular(verb: str) -> tuple[str, str, str]:
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return verb[:-1] + "ies", verb + "ing", verb[:-1] + "ied"
    third = verb + ("es" if re.search(r"(s|x|z|ch|sh|o)$", verb) else "s")
    if verb.endswith("e"):
        return third, (verb if verb.endswith(("ee", "oe", "ye")) else verb[:-1]) + "ing", verb + "d"
    stem = verb + verb[-1] if _doubles(verb) else verb
    return third, stem + "ing", stem + "ed"


def _forms(verb: str) -> tuple[str, str, str]:
    if verb in _IRREGULAR:
        third, gerund, participle = _IRREGULAR[verb]
        return third, gerund, participle
    for prefix in ("re", "un", "over", "under", "out", "up", "down"):
        if verb.startswith(prefix) and verb[len(prefix) :] in _IRREGULAR:
            third, gerund, participle = _IRREGULAR[verb[len(prefix) :]]
            return prefix + third, prefix + gerund, prefix + participle
    return _regular(verb)


def _inflected(phrase: str, form: int) -> str:
    """Inflect the first verb, and the second of "X and Y" where it is one we know."""
    if phrase.startswith(("don't ", "do not ")):
        rest = phrase.removeprefix("don't ").removeprefix("do not ")
        return "does not " + rest if form == 0 else "not " + _inflected(rest, form)
    before, verb, rest = _head(phrase)
    second = re.match(r"(.*?)( and | or )(\w+)( .*|)$", rest)
    if second and second[3] != "lower" and (second[3] in _IRREGULAR or second[3] in _COMMON):
        rest = second[1] + second[2] + _forms(second[3])[form] + second[4]
    return before + _forms(verb)[form] + rest


def third(phrase: str) -> str:
    """`open the door` -> `opens the door`."""
    return _inflected(phrase, 0)


def gerund(phrase: str) -> str:
    """`open the door` -> `opening the door`."""
    return _inflected(phrase, 1)


def participle(phrase: str) -> str:
    """`open the door` -> `opened the door`."""
    return _inflected(phrase, 2)


def passive(phrase: str) -> str | None:
    """`open the door` -> `the door is opened`; None where there is no plain object."""
    found = re.fullmatch(r"(\w+) (the [\w-]+)( .+|)", phrase)
    return f"{found[2]} is {_forms(found[1])[2]}{found[3]}" if found else None


def in_words(n: int) -> str:
    """A whole number from 0 to 9,999 in words."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    if n < 1000:
        return (
            ("a" if n // 100 == 1 else _ONES[n // 100]) + " hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
        )
    return in_words(n // 1000) + " thousand" + (f" {in_words(n % 1000)}" if n % 1000 else "")


def is_plural(noun: str) -> bool:
    """Whether the noun phrase takes `are`: `the lights`, `you`, `the lights of the car`."""
    head = re.split(
        r" (?:of|in|on|at|for|to|from|inside|left|under|behind|between|that|which|you|with) ", noun.lower()
    )[0].split(" ")[-1]
    if re.match(r"(how|what|where|which|whether|whatever|who) ", noun.lower()):
        return False
    if head in {"you", "they", "we", "people", "children", "fish", "sheep"} or re.match(r"the [\w-]+ and the ", noun):
        return True
    return head.endswith("s") and not head.endswith(("ss", "us", "is", "'s", "gas", "lens", "bias", "progress"))


def be(noun: str) -> str:
    return "are" if is_plural(noun) else "is"


def says(noun: str, verb_phrase: str) -> str:
    """A finite clause: `says("the door", "turn red")` -> `the door turns red`."""
    if verb_phrase.startswith("be "):
        return f"{noun} {be(noun)} {verb_phrase[3:]}"
    return f"{noun} {verb_phrase if is_plural(noun) else third(verb_phrase)}"


def an(word: str) -> str:
    """The word with its article."""
    return ("an " if re.match(r"[aeiou](?!ne\b|ni)", word.lower()) else "a ") + word


def plural(word: str) -> str:
    """A noun's plural, well enough for the names of values: `box` -> `boxes`."""
    if word.endswith("s") or word in {"ice", "grass", "water", "lava", "sand", "fish", "sheep", "gold", "dirt"}:
        return word
    return _regular(word)[0] if not word.endswith("o") else word + "s"


def negated(clause: str) -> str | None:
    """`the door is open` -> `the door isn't open`; None where no auxiliary and no `you` shows where the verb is."""
    if re.match(r"there (is|are) (a|an|some|any) ", clause):
        return re.sub(r"^there (is|are) (a|an|some|any) ", r"there \1 no ", clause)
    quantified = r"not|no|never|nothing|none|neither|nor|\w+n't|every|all|either|only|any|anything|or|both|too|still|as"
    if re.search(rf"\b({quantified}|(?:more|less|fewer|higher|lower) than|at least|at most)\b", clause):
        return None
    found = re.search(r" (is|are|has been|can|will) ", clause)
    if found:
        at = found.start() + 1 + len(found[1].split()[0])
        return clause[:at] + " not" + clause[at:]
    if re.match(r"you (?!are|'re)[a-z]+(?<!ve)\b", clause) and clause.split()[1] not in {"have", "had", "'ve", "may"}:
        return "you do not" + clause[3:]
    if clause.startswith("you have "):
        return "you do not have" + clause[8:]
    found = re.search(r"^((?:the|your) [a-z' -]+?) has (?!been)", clause)
    return f"{found[1]} does not have {clause[found.end() :]}" if found else None


def with_modal(clause: str, modal: str) -> str | None:
    """`the door is open`, `must` -> `the door must be open`; None where the verb cannot be told."""
    if re.search(r"\b(not|\w+n't|can|will|must)\b", clause):
        return None
    found = re.match(r"(there|the [a-z' -]+?|your [a-z' -]+?|you) (is|are|have|has) (?!been\b)", clause)
    if found:
        verb = "be" if found[2] in {"is", "are"} else "have"
        return f"{found[1]} {modal} {verb} {clause[found.end() :]}"
    return f"you {modal} {clause[4:]}" if re.match(r"you [a-z]+ ", clause) else None


def absolute(clause: str) -> str | None:
    """`the door is open` -> `the door open`, to stand after `with`; None for other clauses."""
    found = re.fullmatch(r"((?:the|your|both|all|no) (?:(?! is | are ).)+) (?:is|are) ((?!not\b).+)", clause)
    return f"{found[1]} {found[2]}" if found and " and " not in found[2] else None


_FINAL = {"you are", "it is", "there is", "you will", "that is"}
"""Contracted only where a clause begins: "what it is" stays."""


def telegraphic(clause: str) -> str | None:
    """`the door is open` -> `door open`, as manuals have it; None for other clauses."""
    bare = absolute(clause)
    return bare.removeprefix("the ") if bare and not bare.startswith(("no ", "all ", "both ")) else None


def contracted(text: str, rng: Random) -> str:
    """Contract auxiliaries, each by chance."""
    for long, short in (
        ("do not", "don't"),
        ("does not", "doesn't"),
        ("is not", "isn't"),
        ("are not", "aren't"),
        ("cannot", "can't"),
        ("will not", "won't"),
        ("must not", "mustn't"),
        ("should not", "shouldn't"),
        ("it is", "it's"),
        ("you are", "you're"),
        ("there is", "there's"),
        ("you will", "you'll"),
        ("that is", "that's"),
        ("let us", "let's"),
    ):
        if long in text and rng.random() < 0.4:
            start = (
                r"(^|[,:;.] |\b(?:if|when|while|once|and|unless|that|as|where|whenever|but|then|or) )"
                if long in _FINAL
                else r"(\b)"
            )
            text = re.sub(rf"{start}{long}\b(?= )", rf"\g<1>{short}", text)
    return text


def mistyped(text: str, rng: Random) -> str:
    """One slip of the keyboard inside a longer word: letters swapped, dropped or doubled."""
    places = [m for m in re.finditer(r"\b[a-z]{5,}\b", text)]
    if not places:
        return text
    found = rng.choice(places)
    at = rng.randrange(found.start() + 1, found.end() - 1)
    return rng.choice(
        (
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
        )
    )
