"""The package as others install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "langchain_core", "sentence_transformers", "xgrammar", "accelerate", "gymnasium")


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_gedanken_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, gedanken; print([m for m in {HEAVY} if m in sys.modules])"
    assert python("-c", code, cwd=tmp_path).strip() == "[]"


def test_every_public_name_can_be_had(tmp_path: Path) -> None:
    python("-c", "import gedanken; [getattr(gedanken, n) for n in gedanken.__all__]", cwd=tmp_path)


@pytest.mark.slow
def test_help_and_version_need_no_torch(tmp_path: Path) -> None:
    out = python("-X", "importtime", "-m", "gedanken", "--version", cwd=tmp_path)
    assert "0.1.0" in out


def test_a_wheel_installs_and_runs_from_an_empty_folder(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, tmp_path / "source", ignore=left_out)
    python(
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(tmp_path / "source"),
        cwd=tmp_path,
    )
    wheel = next((tmp_path / "dist").glob("gedanken-*.whl"))
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=empty)
    where = python("-c", "import gedanken; print(gedanken.__file__)", cwd=empty, PYTHONPATH=str(site))
    assert str(site) in where
    assert "0.1.0" in python("-m", "gedanken", "--version", cwd=empty, PYTHONPATH=str(site))
    code = "from gedanken.world.rules.parse import parse; import gedanken.prompts.templates; parse('prefer x < 1')"
    python("-c", code, cwd=empty, PYTHONPATH=str(site))  # the grammar and the templates are in the wheel
    place = "files('gedanken.examples.doorkey') / 'manual.txt'"
    manual = f"from importlib.resources import files; print(({place}).read_text())"
    assert "locked" in python("-c", manual, cwd=empty, PYTHONPATH=str(site))
