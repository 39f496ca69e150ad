"""Who a presented key is, and what the configuration of keys refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.admission.keys import Keys
from services.runtime.errors import NotFound, SettingsError, Unauthenticated

WEB, JOBS, OPS = "web-secret-0123456789", "jobs-secret-0123456789", "ops-secret-0123456789"


def read(tmp_path: Path) -> Keys:
    (tmp_path / "keys.env").write_text(f"OTHER=x\nJOBS = {JOBS}\n")
    return Keys.read(
        {
            "web": {"tenant": "shop", "secret": {"env": "KEY_WEB"}, "models": ["smollm2"]},
            "jobs": {"tenant": "shop", "secret": {"file": str(tmp_path / "keys.env"), "line": "JOBS"}},
            "ops": {"tenant": "ops", "secret": {"sha256": hashlib.sha256(OPS.encode()).hexdigest()}, "priority": -1},
        },
        {"KEY_WEB": WEB},
    )


def test_each_place_of_a_secret_leads_to_its_key(tmp_path: Path) -> None:
    keys = read(tmp_path)
    assert [keys.authenticate(secret).name for secret in (WEB, JOBS, OPS)] == ["web", "jobs", "ops"]
    assert keys.authenticate(OPS).priority == -1


@given(guess=st.text(max_size=40) | st.sampled_from([WEB[:-1], WEB + "x", WEB.upper(), "", "\ud800"]))
def test_no_guess_is_let_in(guess: str) -> None:
    keys = Keys.read({"web": {"tenant": "shop", "secret": {"env": "KEY_WEB"}}}, {"KEY_WEB": WEB})
    with pytest.raises(Unauthenticated, match="missing or wrong"):
        keys.authenticate(guess)


def test_a_key_names_only_its_models_and_learns_nothing_of_others(tmp_path: Path) -> None:
    keys = read(tmp_path)
    keys.authenticate(WEB).check_model("smollm2")
    keys.authenticate(JOBS).check_model("gpt-4o")
    with pytest.raises(NotFound, match="no model 'gpt-4o' for this key"):
        keys.authenticate(WEB).check_model("gpt-4o")


def test_secrets_and_their_hashes_are_not_shown(tmp_path: Path) -> None:
    keys = read(tmp_path)
    shown = repr(keys) + repr(keys.all) + repr(vars(keys).keys())
    for secret in (WEB, JOBS, OPS):
        assert secret not in shown
        assert hashlib.sha256(secret.encode()).hexdigest() not in shown


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"secret": {"env": "MISSING"}}, "'web' is wrong: the variable MISSING must hold a secret of 16 to 512"),
        ({"secret": {"env": "SHORT"}}, "the variable SHORT must hold"),
        ({"secret": {"file": "/no/such/file", "line": "A"}}, "/no/such/file cannot be read"),
        ({"secret": {"file": "/no/such/file"}}, "file and line go together"),
        ({"secret": {"sha256": "f00"}}, "sha256: String should match"),
        ({"secret": {"env": "KEY_WEB", "sha256": "0" * 64}}, "exactly one of env, file"),
        ({}, "exactly one of env, file"),
        ({"secret": {"env": "KEY_WEB"}, "budget": 3}, "budget: Extra inputs"),
        ({"secret": {"env": "KEY_WEB"}, "requests_per_minute": 0}, "requests_per_minute: Input should be greater"),
    ],
)
def test_a_wrong_key_is_a_sentence_that_never_tells_a_secret(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        Keys.read({"web": {"tenant": "shop", **fields}}, {"KEY_WEB": WEB, "SHORT": "short-secret"})
    assert refused.value.field == "keys.web"
    assert "short-secret" not in str(refused.value)


def test_two_keys_cannot_share_a_secret() -> None:
    key = {"tenant": "shop", "secret": {"env": "KEY_WEB"}}
    with pytest.raises(SettingsError, match="it has the secret of 'web'"):
        Keys.read({"web": key, "jobs": key}, {"KEY_WEB": WEB})
