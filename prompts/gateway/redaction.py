"""Keeping secrets out of records and error messages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from pydantic import BaseModel, SecretStr

NAMES = re.compile(r"(^|_)(API_?KEY|ACCESS_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PAT)($|_)", re.IGNORECASE)
SHAPES = re.compile(
    r"""\b(?:sk|pk|rk|hf|ghp|gho|github_pat|glpat|gsk|xai|pplx|r8|xox[abp])[-_][A-Za-z0-9_-]{16,}  # providers' keys
    | \bAKIA[A-Z0-9]{16}\b | \bAIza[A-Za-z0-9_-]{30,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*  # a JSON web token
    | (?<=Bearer\ )[A-Za-z0-9._~+/=-]{12,}
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)  # name and password of an address
    """,
    re.VERBOSE,
)
SHORTEST = 8


def redactor(model: object = None, environ: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return a function that replaces secrets in a text by `[name]`.

    A secret is the value of an environment variable named like one (`..._API_KEY`, `..._TOKEN`), a `SecretStr` field
    of the model, or anything shaped like a common provider's key. Values under 8 characters are left alone. The
    environment is looked at anew every time.
    """
    own = _of_model(model)

    def redact(text: str) -> str:
        found = [*_of_environment(os.environ if environ is None else environ), *own]
        secrets = {value: name for name, value in found if len(value) >= SHORTEST}
        for value in sorted(secrets, key=len, reverse=True):  # a secret may begin with another
            text = text.replace(value, f"[{secrets[value]}]")
        return SHAPES.sub("[secret]", text)

    return redact


def _of_environment(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in environ.items() if NAMES.search(name)]


def _of_model(model: object) -> list[tuple[str, str]]:
    fields = type(model).model_fields if isinstance(model, BaseModel) else {}
    values = ((name, getattr(model, name, None)) for name in fields)
    return [(name, value.get_secret_value()) for name, value in values if isinstance(value, SecretStr)]
