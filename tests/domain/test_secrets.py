"""Secrets that are derived from the operator's keys, and their rotation."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from server.domain.errors import INVITE_KEY_UNAVAILABLE
from server.domain.invite_link import lookup_hash
from server.domain.secrets import SecretKeys
from tests.domain.refusals import refused_with

OLD, NEW = b"the old key of thirty-two bytes!", b"the new key of thirty-two bytes!"
LINK = "0b2f3c4d-0000-4000-8000-000000000001"


def test_the_same_key_and_link_give_the_same_id_every_time() -> None:
    first, second = SecretKeys([OLD]), SecretKeys([OLD])
    assert first.current_id == second.current_id
    assert first.invite_id(LINK, first.current_id) == second.invite_id(LINK, second.current_id)


def test_after_a_rotation_old_links_are_derived_from_the_old_key_and_new_ones_from_the_new() -> None:
    before, after = SecretKeys([OLD]), SecretKeys([NEW, OLD])
    old = before.invite_id(LINK, before.current_id)
    assert after.invite_id(LINK, before.current_id) == old
    assert after.current_id != before.current_id
    assert after.current_id == SecretKeys([NEW]).current_id
    assert after.invite_id(LINK, after.current_id) != old


def test_without_the_key_a_link_was_made_with_its_id_is_not_given() -> None:
    before, after = SecretKeys([OLD]), SecretKeys([NEW])
    for derive in (after.invite_id, lambda link, key: after.derive(key, "invite-link", link)):
        with refused_with(INVITE_KEY_UNAVAILABLE):
            derive(LINK, before.current_id)


def test_ids_are_uuids_of_version_4_whose_free_bits_all_vary() -> None:
    keys = SecretKeys([OLD])
    ids = [UUID(keys.invite_id(str(uuid4()), keys.current_id)) for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert {(each.version, each.variant) for each in ids} == {(4, UUID(LINK).variant)}
    always_one, ever_one = ids[0].int, 0
    for each in ids:
        always_one &= each.int
        ever_one |= each.int
    assert (ever_one & ~always_one).bit_count() == 122
    # A bit that isn't fair shows: of 2,000, each is set about 1,000 times.
    for bit in range(128):
        count = sum(each.int >> bit & 1 for each in ids)
        assert count in (0, len(ids)) or 800 < count < 1200


def test_purposes_and_parts_can_not_stand_in_for_each_other() -> None:
    keys = SecretKeys([OLD])
    calls = [("a",), ("a", "b"), ("ab",), ("a", "bc"), ("a", "b", "c"), ("ab", "c"), ("b", "a")]
    assert len({keys.derive(keys.current_id, *call) for call in calls}) == len(calls)


def test_neither_the_keys_nor_what_is_derived_can_be_told_from_what_is_kept() -> None:
    keys = SecretKeys([OLD])
    invite_id = keys.invite_id(LINK, keys.current_id)
    kept = keys.current_id.encode() + lookup_hash(invite_id)
    for secret in (OLD, invite_id.encode(), UUID(invite_id).bytes):
        assert secret not in kept
    assert OLD.decode() not in repr(keys)


def test_a_link_is_looked_up_by_its_id_in_upper_or_lower_case() -> None:
    assert lookup_hash("ABCDEF00-0000-4000-8000-00000000000A") == lookup_hash("abcdef00-0000-4000-8000-00000000000a")
    assert lookup_hash(LINK) != lookup_hash(LINK[:-1] + "2")
    assert len(lookup_hash(LINK)) == 32


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, b"x" * 31]])
def test_a_missing_or_short_key_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        SecretKeys(keys)
