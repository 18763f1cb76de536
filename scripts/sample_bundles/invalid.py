"""One sample for each code: a bundle that is perfect but for one thing."""

from __future__ import annotations

from typing import Any, Final

from sample_bundles.expected import Sample
from sample_bundles.files import pretty
from sample_bundles.keys import AUTHOR, LIBRARY, OLD_REGISTRY, REGISTRY, STRANGER
from sample_bundles.real import fact_of, real_bundle
from tests import builders, oracle
from tests.builders import Object, make_bundle, make_event, make_receipt, sign_event, without

_CREATED_AT: Final = "2026-03-01T09:00:00Z"
_AFTER_EXPIRY: Final = "2026-06-01T00:00:00Z"

_RECORD: Final = builders.make_record(
    title="An otherwise perfect bundle",
    abstract="Every sample in this folder is wrong in exactly one way.",
    arxiv_id="2699.09001",
    submitted_at="2026-02-27T17:00:00Z",
)
_OTHER_RECORD: Final = builders.make_record(
    title="Another bundle",
    abstract="What the first one is taken for.",
    arxiv_id="2699.09002",
    submitted_at="2026-02-27T18:00:00Z",
)


def invalid_samples() -> list[Sample]:
    """Return one sample for each code of V1, B2, B3, S2 and E3."""
    return [
        *(_text_sample(code, text) for code, text in _faulty_texts().items()),
        *(_sample(code, bundle) for code, bundle in _refused_bundles().items()),
        *(_sample(code, bundle) for code, bundle in _reported_bundles().items()),
        *(_sample(code, bundle, needs_demo_keys=True) for code, bundle in _by_demo_keys().items()),
    ]


def _text_sample(code: str, text: bytes) -> Sample:
    return Sample(f"invalid/{code}.json", text, {"": text}, needs_demo_keys=False)


def _sample(code: str, bundle: Object, *, needs_demo_keys: bool = False) -> Sample:
    text = pretty(bundle)
    where = {"record.shape": "/canonical_record/source/version"}
    return Sample(f"invalid/{code}.json", text, {"": text}, needs_demo_keys, where)


# V1, B2: refused, whatever the keys ----------------------------------------------------------


def _bundle(record: Object = _RECORD, *more_events: Object, **overrides: Any) -> Object:
    """Return a bundle, perfect under the demo keys but for what is given, with one good event."""
    events = [_created(record), *more_events]
    return make_bundle(record, events, alias_claims=_claims(record), **overrides)


def _created(record: Object = _RECORD) -> Object:
    payload = builders.created(record, REGISTRY, _CREATED_AT)
    return make_event(record, REGISTRY, "record_created", payload, _CREATED_AT)


def _claims(record: Object = _RECORD) -> list[Object]:
    return builders.make_claims(record, _CREATED_AT)


def _faulty_texts() -> dict[str, bytes]:
    """Return texts of one line each, so that they cannot be taken for JSON Lines (C1)."""
    text = builders.to_json(_bundle()).removesuffix(b"}")
    endings = {
        "json.syntax": b",}",
        "json.duplicate_key": b',"\\u0065vents":[]}',
        "json.number": b',"exported_bytes":9007199254740992}',
        "json.surrogate": b',"comment":"\\ud83d"}',
        "json.depth": b',"comment":' + b"[" * 64 + b"]" * 64 + b"}",
    }
    return {code: text + ending + b"\n" for code, ending in endings.items()}


def _refused_bundles() -> dict[str, Object]:
    faulty_source = {**_RECORD["source"], "version": "1"}
    return {
        "bundle.shape": without(_bundle(), "events"),
        "bundle.type": _bundle(bundle_type="pith_open_graph_state"),
        "bundle.version": _bundle(bundle_version="2.0"),
        "record.shape": _bundle({**_RECORD, "source": faulty_source}),
        "record.digest": _bundle(canonical_sha256=oracle.record_digest(_OTHER_RECORD)),
        "record.number": _bundle(pith_number=oracle.pith_number_of(_OTHER_RECORD)),
    }


# B3, S2, E3 by the built-in key --------------------------------------------------------------


def _reported_bundles() -> dict[str, Object]:
    return {
        **_faulty_members(),
        **_faulty_receipts(),
        **{code: _only(event) for code, event in _faulty_events().items()},
    }


def _faulty_members() -> dict[str, Object]:
    """Return bundles of real records: their receipts and alias times are merged all the same."""
    signed = real_bundle(fact_of("1309.3741"))
    other_source = {**signed["source"], "version": signed["source"]["version"] + 1}
    named = real_bundle(fact_of("1606.07490"))
    claim = next(one for one in named["source_aliases"] if one["alias_kind"] == "arxiv_version")
    wrong_claim = {**claim, "alias_value": claim["alias_value"] + "0"}
    return {
        "bundle.short": {**signed, "short_pith_number": signed["short_pith_number"] + "A"},
        "bundle.source": {**signed, "source": other_source},
        "bundle.alias": {**named, "source_aliases": [*named["source_aliases"], wrong_claim]},
    }


def _faulty_receipts() -> dict[str, Object]:
    """Return a real record with its real receipt and one that does not pass S2."""
    fact, other_fact = fact_of("1309.3741"), fact_of("1803.06814")
    bundle, [receipt] = real_bundle(fact), fact["receipts"]
    faulty = {
        "receipt.shape": {**receipt, "kind": "pith_timestamp"},
        "receipt.key_unknown": make_receipt(bundle["canonical_record"], STRANGER, _CREATED_AT),
        "receipt.signature": other_fact["receipts"][0],  # genuine, of another record
    }
    return {code: {**bundle, "receipts": [receipt, one]} for code, one in faulty.items()}


def _faulty_events() -> dict[str, Object]:
    """Return events that fail a check before the demo keys would be asked for (E3)."""
    event = make_event(_RECORD, REGISTRY, "graph_snapshot", builders.snapshot(), _CREATED_AT)
    elsewhere = _created(_OTHER_RECORD)
    built_in = oracle.builtin_keys()[0]
    real_signer = {
        "key_id": built_in["key_id"],
        "public_key_fingerprint": oracle.fingerprint(built_in),
        "signer_id": built_in["signer_id"],
        "signer_type": built_in["signer_type"],
    }
    own_fingerprint = {**real_signer, "public_key_fingerprint": STRANGER.fingerprint}
    return {
        "event.shape": sign_event(without(event, "target"), REGISTRY),
        "event.id": {**event, "event_id": elsewhere["event_id"]},
        "event.subject": elsewhere,
        "event.time": sign_event({**event, "created_at": "2026-02-30T09:00:00Z"}, REGISTRY),
        "event.key_unknown": sign_event({**event, "signer": STRANGER.signer_value()}, STRANGER),
        "event.key_mismatch": sign_event({**event, "signer": own_fingerprint}, STRANGER),
        "event.signature": sign_event({**event, "signer": real_signer}, STRANGER),
    }


def _only(event: Object) -> Object:
    """Return a bundle of one event: no other could be valid without the registry's own seed."""
    return make_bundle(_RECORD, [event], alias_claims=_claims())


# S2, E3 by the demo keys ---------------------------------------------------------------------


def _by_demo_keys() -> dict[str, Object]:
    receipts = {
        "receipt.role": make_receipt(_RECORD, LIBRARY, _CREATED_AT),
        "receipt.key_window": make_receipt(_RECORD, OLD_REGISTRY, _AFTER_EXPIRY),
    }
    likes = builders.citation(relationship="likes")
    late = builders.snapshot()
    events = {
        "event.key_window": make_event(
            _RECORD, OLD_REGISTRY, "graph_snapshot", late, _AFTER_EXPIRY
        ),
        "event.role": make_event(
            _RECORD, AUTHOR, "storage_attested", builders.storage(), _CREATED_AT
        ),
        "event.payload": make_event(_RECORD, AUTHOR, "citation_signed", likes, _CREATED_AT),
    }
    good = make_receipt(_RECORD, REGISTRY, _CREATED_AT)
    return {
        **{code: _bundle(receipts=[good, one]) for code, one in receipts.items()},
        **{code: _bundle(_RECORD, one) for code, one in events.items()},
    }
