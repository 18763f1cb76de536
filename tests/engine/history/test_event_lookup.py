"""Looking up an event by its id: under any profile, in stale records, in damaged stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.events.event import ValidEvent
from mirror.engine.history.event_lookup import find_event, is_event_name
from mirror.engine.states.current import current_events
from mirror.engine.states.trust import add_keys
from mirror.errors import CorruptStoreError, LookUpError
from mirror.store import Store, open_store
from tests.builders import make_record
from tests.engine.history.worlds import AUTHOR, PROFILE, claim, merge
from tests.engine.invented_envelopes import ALICE, INVENTED
from tests.helpers import keys_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def test_an_event_of_a_profile_is_found_by_an_id_that_it_does_not_contain(store: Store) -> None:
    """It is computed, so all events of profiles are looked at."""
    add_keys(store, keys_of(ALICE).with_profiles([PROFILE]))
    merge(store, *INVENTED[0].events())
    for event in current_events(store, 1):
        assert isinstance(event, ValidEvent)
        (found,) = find_event(store, event.event_id)
        assert (found.event, found.status) == (event, "in force")
        assert found.to_value()["profile"] == PROFILE.name


def test_the_verdict_is_that_of_the_current_keys(store: Store) -> None:
    """Even if the record waits to be verified again."""
    merge(store, claim(1))
    name = claim(1)["event_id"]
    assert [one.status for one in find_event(store, name)] == ["refused"]
    add_keys(store, keys_of(AUTHOR))
    assert [one.status for one in find_event(store, name)] == ["in force"]
    with store.transaction():
        store.states.mark_all_for_verdicts()
    store.connection.execute("DELETE FROM verdict")
    assert [one.status for one in find_event(store, name)] == ["in force"]


def test_a_search_in_one_record_reads_no_other(store: Store) -> None:
    """That is the cost that is saved; progress counts the arrivals."""
    read: list[int] = []
    for number in (1, 2, 3):
        merge(store, "junk", record=make_record(arxiv_id=f"2401.{number:05}"))
    for record_id, count in ((None, 3), (2, 1)):
        read.clear()
        with pytest.raises(LookUpError, match="no event"):
            find_event(store, "sha256:00000000", record_id, read.append)
        assert sum(read) == count


def test_a_damaged_arrival_ends_the_search(store: Store) -> None:
    """Nobody can say that an event is not there if something cannot be read."""
    add_keys(store, keys_of(AUTHOR))
    merge(store, claim(1))
    store.connection.execute("UPDATE arrival SET content = substr(content, 1, 20)")
    with pytest.raises(CorruptStoreError, match="arrival 1"):
        find_event(store, claim(1)["event_id"])


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("sha256:" + "0" * 64, True),
        (" sha256:0123abcd ", True),
        ("SHA256:0123ABCD", True),
        ("sha256:0123abc", False),
        ("sha256:" + "0" * 65, False),
        ("0" * 64, False),
        ("1705.09786", False),
    ],
)
def test_which_texts_name_an_event(text: str, *, is_name: bool) -> None:
    assert is_event_name(text) == is_name
