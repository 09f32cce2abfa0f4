"""An embedding model as memory uses it: named, its answers checked, its failures told in a way one can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GedankenError
from .vectors import unit

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class Embedder:
    """Texts to vectors of length 1. `model` names the vectors; by default it is the name of the class of `embeddings`
    and of its `model_name` or `model`, where it has one."""

    def __init__(self, embeddings: Embeddings, model: str | None = None) -> None:
        self._embeddings = embeddings
        inner = getattr(embeddings, "model_name", None) or getattr(embeddings, "model", None)
        self.model = model or type(embeddings).__name__ + (f":{inner}" if isinstance(inner, str) else "")

    def texts(self, texts: list[str]) -> np.ndarray:
        """Float32 `[N, D]`. Raises `GedankenError` where the model fails, or gives anything else."""
        return self._checked(lambda: self._embeddings.embed_documents(texts), len(texts))

    def query(self, text: str) -> np.ndarray:
        """Float32 `[D]`; errors as `texts`."""
        return self._checked(lambda: [self._embeddings.embed_query(text)], 1)[0]

    def _checked(self, embed: Callable[[], list[list[float]]], count: int) -> np.ndarray:
        try:
            vectors = np.asarray(embed(), np.float32)
        except Exception as error:
            raise GedankenError(
                f"embedding model '{self.model}' failed ({type(error).__name__}: {error}); mend it, or search by "
                "words with Retrieval(memory)"
            ) from error
        if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
            raise GedankenError(
                f"embedding model '{self.model}' gave no {count} finite vectors (shape {vectors.shape}); mend it, or "
                "search by words with Retrieval(memory)"
            )
        return unit(vectors)
