"""Names of models as people read them."""

from __future__ import annotations

from services.trainer.evaluation.ours import RETRIEVAL_ALONE
from services.trainer.p2.run import FIRST
from services.trainer.peers import PEERS

_SOURCES = {"two_tower": "two towers", "co_visitation": "co-visitation", "ease": "EASE"}
_KINDS = {"lambdamart": "LambdaMART", "dlrm": "DLRM", "dcn_v2": "DCN-v2", "mmoe": "MMoE"}


def label_of(model: str) -> str:
    """What a model is called in tables and pictures."""
    if model in PEERS:
        return PEERS[model].label
    if model == RETRIEVAL_ALONE:
        return "Cascade (retrieval alone)"
    kind = model.removeprefix("cascade_")
    return f"Cascade ({_KINDS.get(kind, kind)})"


def source_label(source: str) -> str:
    """What a source of candidates is called."""
    return _SOURCES.get(source, source.replace("_", " "))


def asks_for_likes(scorer: str) -> bool:
    """Whether a scorer of P2 says who likes what; heads that say something else cannot be compared with it."""
    return scorer.partition(", ")[2] in ("", FIRST)


def scorer_label(scorer: str) -> str:
    """What a scorer of P2 is called."""
    kind, comma, head = scorer.partition(",")
    return _KINDS.get(kind, kind) + comma + head
