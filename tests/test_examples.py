"""The examples run as `--quick` runs them, and stay short enough to be read at a glance."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    path = EXAMPLES[0].with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_it_is_run(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 60
    assert f"python examples/{path.name} [--quick]" in text
    assert 'main(quick="--quick" in sys.argv)' in text


def test_an_environment_of_one_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    load("own_environment").main(quick=True)
    assert "mean steps 20.0" in capsys.readouterr().out


def test_a_limit_in_words_is_kept() -> None:
    pytest.importorskip("pygame")
    found = load("safety_rule").main(quick=True)
    assert found["told"]["steps beyond the limit"] < found["untold"]["steps beyond the limit"]


def test_errands_in_words_are_done_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minigrid")
    done = load("instructions").main(quick=True)
    assert done == {"pick up a ball, then go to a key": True, "put a key next to a box": True}
    assert "'unicorn'" in capsys.readouterr().out


def test_a_policy_of_another_library_trains_in_imagination() -> None:
    pytest.importorskip("stable_baselines3")
    assert load("ppo_in_imagination").main(quick=True) > 100


def test_a_langgraph_agent_uses_the_tools() -> None:
    for name in ("langgraph", "langchain", "minigrid"):
        pytest.importorskip(name)
    assert load("langgraph_agent").main(quick=True).startswith("I checked it")


def test_a_chest_opens_after_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("few_shot_dynamics").main(quick=True)
    assert "expect chest' == open if action == open and hand == key" in [rule.text for rule in report.rules]
    assert "mean steps 2.0" in capsys.readouterr().out
