"""Published figures for MovieLens-1M, last event left out, whole catalog. Quoted for orientation, not run here."""

from __future__ import annotations

from dataclasses import dataclass

DATASET = "ml-1m"
"""The data set that the figures are of."""


@dataclass(frozen=True, slots=True)
class Published:
    """A row of somebody's table."""

    model: str
    hr_at_10: float
    ndcg_at_10: float | None
    described_in: str
    """Where the model was introduced."""
    same_split: bool = True
    """Whether events of one second stay in file order, as here; other orders test other targets."""


PUBLISHED = (
    Published("SASRec, sampled softmax", 0.2929, 0.1684, "Kang & McAuley, ICDM 2018"),
    Published("gSASRec", 0.3003, 0.1726, "Petrov & Macdonald, RecSys 2023"),
    Published("HSTU", 0.3037, 0.1719, "Zhai et al., ICML 2024"),
    Published("eSASRec", 0.3133, 0.1772, "Tikhonovich et al., RecSys 2025"),
    Published("SASRec+, full cross-entropy", 0.3152, None, "Klenitskiy & Vasilev, RecSys 2023"),
    Published("FuXi-α", 0.3164, 0.1813, "Ye et al., WWW 2025"),
    Published("SASRec", 0.2853, 0.1603, "Kang & McAuley, ICDM 2018", same_split=False),
    Published("HSTU", 0.3097, 0.1720, "Zhai et al., ICML 2024", same_split=False),
    Published("HSTU-large", 0.3294, 0.1893, "Zhai et al., ICML 2024", same_split=False),
)
