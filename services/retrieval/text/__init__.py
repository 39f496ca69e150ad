"""Items found by words: BM25 and sentence vectors over one catalog, in one Qdrant index, fused by reciprocal rank.

The gateway's search asks it with what is left of a sentence after the parser, and with the parser's filters. It owns
its index; the catalog is the truth, so it is built from the catalog at start and follows it afterwards.

edge:///path                            Qdrant's engine in this process, over a folder of its own
qdrant://host:6334/collection           a Qdrant server over gRPC; over REST on 6333 where gRPC is not let through
qdrant+http://host:6333/collection      the same over REST
"""

from services.retrieval.text.document import Document, documents_of
from services.retrieval.text.index import Found, TextIndex
from services.retrieval.text.opening import open_text_store
from services.retrieval.text.store import TextStore, Where

__all__ = ["Document", "Found", "TextIndex", "TextStore", "Where", "documents_of", "open_text_store"]
