"""An admin's forms: what is shown is what is in force, and only what was changed is sent on."""

import pytest

from accounts.policy import Policy
from server.pages.policy_forms import PLANS, PRICES, STT, field_of, groups, patch


def shown(kind: str, policy: Policy) -> dict[str, str]:
    return {one.name: one.value for group in groups(kind, policy) for one in group.fields}


@pytest.mark.parametrize("kind", [PRICES, PLANS, STT])
def test_a_form_that_was_not_touched_changes_nothing(kind: str) -> None:
    policy = Policy()
    assert patch(kind, policy, shown(kind, policy)) == {}


def test_a_price_that_was_changed() -> None:
    policy = Policy()
    filled = shown(PRICES, policy) | {"prices/studio.tts/credits": "900.5", "prices/studio.tts/per": "500"}
    assert patch(PRICES, policy, filled) == {"prices": {"studio.tts": {"credits": "900.5", "per": 500}}}


def test_a_limit_a_default_and_a_switch() -> None:
    policy = Policy()
    assert patch(PLANS, policy, {"plans/free/jobs": "7"}) == {"plans": {"free": {"jobs": 7}}}
    assert patch(STT, policy, {"stt_v2/vad_filter": "false"}) == {"stt_v2": {"vad_filter": False}}
    assert patch(STT, policy, {"stt_v2/vad_threshold": "0.35"}) == {"stt_v2": {"vad_threshold": 0.35}}


def test_what_is_no_number_is_left_for_the_policy_to_refuse() -> None:
    assert patch(PLANS, Policy(), {"plans/free/jobs": "many"}) == {"plans": {"free": {"jobs": "many"}}}


def test_fields_nobody_asked_for_are_ignored() -> None:
    assert patch(PLANS, Policy(), {"plans/free/secret": "1", "csrf": "x"}) == {}


def test_every_setting_of_a_plan_can_be_changed() -> None:
    policy = Policy()
    for name, plan in policy.plans.items():
        for setting in type(plan).model_fields:
            assert f"plans/{name}/{setting}" in shown(PLANS, policy)


def test_a_complaint_finds_its_field() -> None:
    assert field_of("plans.free.jobs") == "plans/free/jobs"
    assert field_of("prices.studio.tts.per") == "prices/studio.tts/per"
