"""Cutting a text into sentences, the units that are translated one at a time."""

from __future__ import annotations

import re

ABBREVIATIONS = frozenset({"e.g", "i.e", "etc", "vs", "cf", "approx", "ca", "fig", "no", "dr", "mr", "mrs", "ms", "st"})
OFTEN_LAST = frozenset({"etc", "no"})  # these end a sentence too: look at what follows
_BULLET = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+")
_END = re.compile(r"[.!?…]+[\"')\]”’]*(?=\s)")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, in order, without list marks, headings (`# ...`) and line breaks.

    A blank line, a list item or a heading begins anew; a line end within a paragraph does not. Decimals (`0.5`),
    names (`door.state`) and common abbreviations do not end a sentence.
    """
    return [sentence for paragraph in _paragraphs(text) for sentence in _cut(paragraph)]


def _paragraphs(text: str) -> list[str]:
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        if bullet or not line.strip() or line.lstrip().startswith("#"):
            paragraphs.append([])
        if not line.lstrip().startswith("#"):
            paragraphs[-1].append(line[bullet.end() if bullet else 0 :].strip())
    return [" ".join(part for part in lines if part) for lines in paragraphs if any(lines)]


def _cut(paragraph: str) -> list[str]:
    sentences, start = [], 0
    for end in _END.finditer(paragraph):
        before = paragraph[start : end.start()].rsplit(None, 1)
        word = before[-1].lstrip("(\"'“‘").lower() if before else ""
        follows = paragraph[end.end() :].lstrip()
        if end[0].startswith(".") and word in ABBREVIATIONS and not (word in OFTEN_LAST and follows[:1].isupper()):
            continue
        sentences.append(paragraph[start : end.end()].strip())
        start = end.end()
    return [sentence for sentence in (*sentences, paragraph[start:].strip()) if any(map(str.isalnum, sentence))]
