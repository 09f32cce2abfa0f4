"""Notes as a retriever: LangChain's own suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from gedanken.memory import Column, Layout, LongTerm, Retrieval
from gedanken.memory.notes.retriever import NoteRetriever


class TestSuite(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _notes(self, tmp_path: Path) -> Any:
        layout = Layout((Column("x", "float32"),), Column("action", "int64"))
        with LongTerm(tmp_path / "memory.sqlite", layout) as memory:
            for place in ("hall", "cellar", "attic", "garden"):
                memory.note(f"the door of the {place} is locked")
            self._retrieval = Retrieval(memory)
            yield

    @property
    def retriever_constructor(self) -> type[NoteRetriever]:
        return NoteRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"retrieval": self._retrieval}

    @property
    def retriever_query_example(self) -> str:
        return "locked door"
