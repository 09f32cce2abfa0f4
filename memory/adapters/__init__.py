"""Long-term memory behind the interfaces of LangChain and LangGraph, each in a file that imports them only when asked.

    from gedanken.memory.adapters.cache import MemoryCache                  answers of chat models
    from gedanken.memory.adapters.key_value import ByteStore                bytes by key
    from gedanken.memory.adapters.vector_store import MemoryVectorStore     documents by meaning
    from gedanken.memory.adapters.store import MemoryStore                  LangGraph's store (needs langgraph)

Notes as a retriever are `Retrieval.as_retriever`.
"""
