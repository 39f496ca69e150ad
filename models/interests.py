"""Several vectors for one user: how near an item is to the nearest of them (ComiRec, Cen et al., KDD 2020, section 3.3,
whose f(u, i) this is).

No torch here: it runs in the retrieval service.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest_scores(items: NDArray[np.float32], interests: NDArray[np.float32]) -> NDArray[np.float32]:
    """(I,): for each of (I, D) items its largest dot product with one of (K, D) interests."""
    # One product for each interest: what a single one says does not depend on how many there are.
    first, *others = interests
    scores: NDArray[np.float32] = items @ first
    for interest in others:
        np.maximum(scores, items @ interest, out=scores)
    return scores
