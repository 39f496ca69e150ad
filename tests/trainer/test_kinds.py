"""Which rankers a run fits, as it is told."""

from __future__ import annotations

import pytest

from services.runtime.errors import SettingsError
from services.trainer.kinds import KINDS, kinds_of
from services.trainer.ranking import DEFAULTS
from services.trainer.settings import TrainerSettings


def test_names_keep_their_order_and_spaces_do_not_matter() -> None:
    assert kinds_of("mmoe, lambdamart") == ("mmoe", "lambdamart")
    assert TrainerSettings(rankers=" dcn_v2 ").rankers == "dcn_v2"


def test_every_kind_can_be_fitted_without_being_configured() -> None:
    assert tuple(DEFAULTS) == KINDS


@pytest.mark.parametrize(("names", "sentence"), [
    ("dlrm,deepfm", "there is no 'deepfm'; there are lambdamart, dlrm, dcn_v2, mmoe"),
    ("", "there is no ''"),
    ("dlrm,dlrm", "names one twice"),
])  # fmt: skip
def test_what_is_no_list_of_kinds_is_refused_with_what_there_is(names: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        kinds_of(names)
    with pytest.raises(ValueError, match=sentence):
        TrainerSettings(rankers=names)
