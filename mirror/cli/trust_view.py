"""Changes of the trusted keys and profiles, and their effects, as output."""

from __future__ import annotations

from pathlib import Path

from mirror.cli.output import plural, print_json, say
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_name
from mirror.core.profile_file import loose_members
from mirror.engine.states.key_warnings import key_warnings, name_warnings
from mirror.engine.states.trust import AddedTrust, remove_keys, remove_profiles
from mirror.engine.states.trust_effect import TrustEffect, effect_of_removal
from mirror.store import open_store

__all__ = ["remove_and_report", "report_added"]


def report_added(added: AddedTrust, db: Path, *, as_json: bool) -> None:
    """Print the added keys and profiles, and warnings about them."""
    with open_store(db, read_only=True) as store:
        trusted = store.trust_log.key_set()
    doubts = [*key_warnings(added.keys), *name_warnings(added.keys, trusted)]
    for doubt in dict.fromkeys(doubts):
        say(f"warning: {doubt}")
    if as_json:
        print_json(
            {
                "store": escape_name(str(db)),
                "added": [key.to_value() for key in added.keys],
                "added_profiles": [profile.to_value() for profile in added.profiles],
                "key_set_digest": trusted.digest,
                "warnings": list(dict.fromkeys(doubts)),
            }
        )
        return
    if not added.keys and not added.profiles:
        say("nothing to do: all of these are trusted already")
    for key in added.keys:
        say(f"now trusted in {db}: {key.key_id}, fingerprint {key.fingerprint}, {key.signer_id}")
    for profile in added.profiles:
        say(f"now trusted in {db}: the profile {profile.name}")
        if loose := loose_members(profile):
            say(f"not protected by its signatures, so never shown: {', '.join(loose)}")


def remove_and_report(
    db: Path, key_ids: tuple[str, ...], profiles: tuple[str, ...], *, dry_run: bool, as_json: bool
) -> None:
    """Remove keys or profiles from the trusted ones, and print the effect.

    Args:
        db: The store.
        key_ids: The keys.
        profiles: The profiles, by name.
        dry_run: Whether to stop before anything is changed.
        as_json: Whether to print one line of JSON.
    """
    names = [*dict.fromkeys((*key_ids, *profiles))]
    place = db if db.exists() else None  # as of a store that was just made
    with open_store(place, read_only=place is not None) as store, store.snapshot():
        before = store.status()
        with show_progress("examined") as progress:
            effect = effect_of_removal(store, key_ids, profiles, progress.advance)
        digest = store.trust_log.key_set().digest
    if not as_json:
        say(f"without {', '.join(names)}, {_words(effect)}")
    after = before
    if not dry_run:
        with open_store(db) as store:
            with show_progress("verified again") as progress:
                if key_ids:
                    remove_keys(store, key_ids, progress.advance)
                if profiles:
                    remove_profiles(store, profiles, progress.advance)
            after, digest = store.status(), store.trust_log.key_set().digest
    if as_json:
        value = {
            "store": escape_name(str(db)),
            "removed": [] if dry_run else names,
            "dry_run": dry_run,
        }
        becomes = {"events": dict(effect.events), "receipts": effect.receipts}
        print_json(
            {
                **value,
                "becomes_invalid": {**becomes, "records": effect.records},
                "events_valid": {"before": before.events_valid, "after": after.events_valid},
                "receipts_verified": {
                    "before": before.receipts_verified,
                    "after": after.receipts_verified,
                },
                "key_set_digest": digest,
            }
        )
    elif dry_run:
        say("nothing was changed")
    else:
        say(f"no longer trusted in {db}: {', '.join(names)}")
        say(f"valid events: {before.events_valid:,} before, {after.events_valid:,} now")
        receipts = f"{before.receipts_verified:,} before, {after.receipts_verified:,} now"
        say(f"verified receipts: {receipts}")


def _words(effect: TrustEffect) -> str:
    """Return the facts that become invalid as text."""
    if not effect.records:
        return "nothing that is valid now becomes invalid"
    by_type = ", ".join(f"{name} {count:,}" for name, count in sorted(effect.events.items()))
    events = plural(effect.events.total(), "event") + (f" ({by_type})" if by_type else "")
    receipts, records = plural(effect.receipts, "receipt"), plural(effect.records, "record")
    return f"these become invalid: {events} and {receipts}, of {records}"
