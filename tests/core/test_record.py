"""Records: shape, hash, Pith Number, aliases and text digests (R1 to R5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core import record as record_module
from mirror.core.record import (
    canonical_text,
    is_pith_number,
    is_text_digest_confirmed,
    parse_record,
    suffix_in,
    text_digest,
    text_to_keep,
)
from mirror.core.values import canonical, decode
from mirror.errors import FormatError
from tests import oracle
from tests.builders import Object, make_record, to_json, without
from tests.shared import real_lines

REAL: Object = {
    "metadata": {
        "abstract_canon_sha256": "853edc62ac30cdc8e8eaf24b2ec191cfa2d906e35f8af0616a52beafd29e3584",
        "cross_cats_sorted": [],
        "license": "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
        "primary_cat": "hep-ex",
        "submitted_at": "2016-11-25T17:16:18Z",
        "title_canon_sha256": "56c532c109bca63ea1850ccc316405c6489a3cc5c13a78e42da05e98ce493ca5",
    },
    "schema_version": "1.0",
    "source": {"id": "1611.08522", "kind": "arxiv", "version": 2},
}
REAL_TITLE = (
    "Reconstruction of semileptonically decaying beauty hadrons produced in high energy "
    "pp collisions"
)


def changed(path: str, value: Any) -> Object:
    """A good record with one member replaced; `path` is `member` or `member/member`."""
    record = make_record()
    *outer, name = path.split("/")
    place = record[outer[0]] if outer else record
    place[name] = value
    return record


# R1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source/version", 1),
        ("source/version", 2**53 - 1),
        ("source/kind", "doi"),
        ("source/id", " "),
        ("metadata/cross_cats_sorted", []),
        ("metadata/cross_cats_sorted", [""]),
        ("metadata/cross_cats_sorted", ["", "A", "B", "a", "\ufffd", "\U0001f600"]),
        ("metadata/license", ""),
        ("metadata/submitted_at", "2024-02-29T00:00:00.123456+00:00"),
    ],
)
def test_a_record_of_the_right_shape_is_parsed(
    path: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: what the rule allows at its edges, quickly and member by member."""
    record = changed(path, value)
    assert record == parse_record(record).value
    monkeypatch.setattr(record_module, "_is_record_fast", lambda _: False)
    assert record == parse_record(record).value
    assert oracle.record_shape_ok(record)


NOT_TEXT: list[Any] = [None, 1, True, [], {}]
NOT_NAME: list[Any] = [*NOT_TEXT, ""]
NOT_DIGEST: list[Any] = [*NOT_NAME, "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"]
FAULTS: dict[str, list[Any]] = {
    "schema_version": [*NOT_NAME, "1", "1.0.0", "1.0 ", 1.0],
    "source": [None, "x", [], ["id", "kind", "version"]],
    "metadata": [None, "x", []],
    "source/id": NOT_NAME,
    "source/kind": NOT_NAME,
    "source/version": [None, 0, -1, 1.0, 2.0, True, "1", [1]],
    "metadata/abstract_canon_sha256": NOT_DIGEST,
    "metadata/title_canon_sha256": NOT_DIGEST,
    "metadata/license": NOT_TEXT,
    "metadata/primary_cat": NOT_NAME,
    "metadata/submitted_at": [
        *NOT_NAME,
        "2024-01-02",
        "2024-01-02T03:04:60Z",
        "0000-01-01T00:00:00Z",
    ],
    "metadata/cross_cats_sorted": [
        None,
        "cs.DL",
        {},
        ["b", "a"],
        ["a", "a"],
        ["a", "B"],
        ["a", 1],
        [None],
        ["\U0001f600", "\ufffd"],
    ],
}


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in FAULTS.items() for value in values]
)
def test_a_member_of_another_type_or_value_is_refused(path: str, value: Any) -> None:
    """R1: with the JSON Pointer of the member at fault."""
    record = changed(path, value)
    with pytest.raises(FormatError) as refused:
        parse_record(record, "/canonical_record")
    assert ("record.shape", f"/canonical_record/{path}") == (
        refused.value.code,
        refused.value.where,
    )
    assert not oracle.record_shape_ok(record)


@pytest.mark.parametrize("place", ["", "metadata", "source"])
def test_the_members_are_exactly_those_of_r1(place: str) -> None:
    """R1: one missing or one more is refused, at every place."""
    good = make_record()
    members = good[place] if place else good
    faulty = [without(members, name) for name in members] + [{**members, "more": None}]
    for variant in faulty:
        record = {**good, place: variant} if place else variant
        with pytest.raises(FormatError) as refused:
            parse_record(record)
        assert ("record.shape", f"/{place}".rstrip("/")) == (
            refused.value.code,
            refused.value.where,
        )
        assert not oracle.record_shape_ok(record)


@pytest.mark.parametrize("value", [None, 1, "x", [], [make_record()]])
def test_a_record_is_an_object(value: Any) -> None:
    """R1."""
    with pytest.raises(FormatError, match=r"record\.shape"):
        parse_record(value)


# R2, R3 --------------------------------------------------------------------------------------


def test_the_hash_and_the_numbers_of_a_real_record() -> None:
    """R2, R3: as the registry printed them."""
    record = parse_record(REAL)
    expected = "b82a26e9803222ef61177b8919813e264ca0e3a3ad27b3c5b5ac9b640fcd5558"
    assert expected == record.canonical_sha256
    assert bytes.fromhex(expected) == record.digest
    number = "pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6EZ"
    assert number == record.pith_number
    assert number[10:] == record.suffix == suffix_in(number)
    short = "pith:XAVCN2MA"
    assert short == record.short_pith_number


def test_the_members_of_a_record() -> None:
    """Typed, as R1 has them."""
    metadata = {**REAL["metadata"], "cross_cats_sorted": ["a", "b"]}
    record = parse_record({**REAL, "metadata": metadata})
    assert record.source == REAL["source"]
    assert record.metadata["license"] == REAL["metadata"]["license"]
    assert record.categories == ("hep-ex", "a", "b")
    assert record.title_sha256.hex() == REAL["metadata"]["title_canon_sha256"]
    assert record.abstract_sha256.hex() == REAL["metadata"]["abstract_canon_sha256"]


def test_the_hash_does_not_depend_on_the_order_of_members() -> None:
    """R2: it is of the canonical bytes, which do differ for another version."""
    shuffled = {name: REAL[name] for name in ("source", "schema_version", "metadata")}
    assert parse_record(REAL).digest == parse_record(shuffled).digest
    other = {**REAL, "source": {**REAL["source"], "version": 3}}
    assert parse_record(REAL).digest != parse_record(other).digest


def test_records_are_one_if_their_canonical_bytes_are() -> None:
    """R2: whatever the order of members; in a set, each stands once."""
    shuffled = {name: REAL[name] for name in ("source", "schema_version", "metadata")}
    other = {**REAL, "source": {**REAL["source"], "version": 3}}
    records = [parse_record(value) for value in (REAL, shuffled, other)]
    assert records[0] == records[1] != records[2]
    assert len({*records}) == 2
    assert records[0] != REAL


@pytest.mark.parametrize("year", ["0001", "0999", "1969", "9999"])
def test_the_year_is_the_first_four_characters_of_the_time(year: str) -> None:
    """R3: with leading zeros."""
    record = make_record(submitted_at=f"{year}-12-31T23:59:59.9+00:00")
    assert f"pith:{year}:{parse_record(record).suffix}" == parse_record(record).pith_number
    assert oracle.pith_number_of(record) == parse_record(record).pith_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6EZ", True),
        ("pith:0000:22222222222222222222222222", True),
        ("pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6E", False),
        ("pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6EZA", False),
        ("pith:2016:xavcn2magiro6yixpoertaj6ez", False),
        ("pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6E1", False),
        ("pith:216:XAVCN2MAGIRO6YIXPOERTAJ6EZ", False),
        ("pith:20\u06616:XAVCN2MAGIRO6YIXPOERTAJ6EZ", False),
        ("PITH:2016:XAVCN2MAGIRO6YIXPOERTAJ6EZ", False),
        ("pith:2016:XAVCN2MAGIRO6YIXPOERTAJ6EZ\n", False),
        ("pith:XAVCN2MA", False),
        ("", False),
        (None, False),
        (2016, False),
    ],
)
def test_what_is_written_as_a_pith_number(value: Any, *, expected: bool) -> None:
    """R3: the pattern and nothing else."""
    assert expected == is_pith_number(value)


# R4 ------------------------------------------------------------------------------------------


def test_the_aliases_of_an_arxiv_record() -> None:
    """R4: ascending by kind, which puts 12 before 8."""
    expected = (
        ("arxiv", "1611.08522"),
        ("arxiv_version", "1611.08522v2"),
        ("doi", "10.48550/arxiv.1611.08522"),
        ("pith_short_12", "XAVCN2MAGIRO"),
        ("pith_short_16", "XAVCN2MAGIRO6YIX"),
        ("pith_short_8", "XAVCN2MA"),
    )
    assert expected == parse_record(REAL).aliases


def test_an_old_id_keeps_its_slash() -> None:
    """R4."""
    record = parse_record(make_record(arxiv_id="hep-th/9801199", version=12))
    expected = [
        ("arxiv", "hep-th/9801199"),
        ("arxiv_version", "hep-th/9801199v12"),
        ("doi", "10.48550/arxiv.hep-th/9801199"),
    ]
    assert expected == list(record.aliases[:3])


def test_other_kinds_have_the_short_forms_only() -> None:
    """R4."""
    record = parse_record(make_record(kind="zenodo"))
    expected = ["pith_short_12", "pith_short_16", "pith_short_8"]
    assert expected == [kind for kind, _ in record.aliases]
    assert [len(value) for _, value in record.aliases] == [12, 16, 8]


# R5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \t\n", ""),
        ("A  Title\nOF\tthis", "a title of this"),
        ("  $\\Lambda_b$ \\LaTeX{} ", "$\\lambda_b$ \\latex{}"),
        ("No\u00a0Break\u2003Space", "no break space"),
        ("\u00c9COLE", "\u00e9cole"),
        ("E\u0301COLE", "e\u0301cole"),
        ("STRASSE stra\u00dfe", "strasse stra\u00dfe"),
    ],
)
def test_text_is_lower_case_with_single_spaces(text: str, expected: str) -> None:
    """R5: LaTeX stays as written, and no normalisation is done."""
    assert expected == canonical_text(text)


def test_the_title_of_a_real_record_hashes_to_what_it_prints() -> None:
    """R5: upper and lower case and white space do not matter."""
    expected = REAL["metadata"]["title_canon_sha256"]
    assert expected == text_digest(REAL_TITLE)
    assert expected == text_digest("\n" + REAL_TITLE.upper().replace(" ", "  "))


@pytest.mark.parametrize(
    ("text", "expected"), [("", True), ("plain", True), ("na\u00efve", False), ("\u2014", False)]
)
def test_only_ascii_text_is_confirmed(text: str, *, expected: bool) -> None:
    """R5: for other text the answer is given as unconfirmed."""
    assert expected == is_text_digest_confirmed(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On  Mirrors\n and\u00a0LaTeX\u2028", "On Mirrors and LaTeX"),
        ("\u00c9COLE na\u00efve \u03a3\u039f\u03a3", "\u00c9COLE na\u00efve \u03a3\u039f\u03a3"),
        ("2 \u212aelvin", "2 kelvin"),  # the sign of the unit has a small form that is ASCII
        ("\u0130stanbul", "i\u0307stanbul"),  # it has a small form of two characters
        ("", None),
        (" \n", None),
        ("a\u202eb", None),
        ("a\x00b", None),
        ("a\u00adb", None),
        ("a\ue000b", None),
        ("x" * 20_000, "x" * 20_000),
        ("x" * 20_001, None),
        (" " * 20_001 + "X", "X"),
    ],
)
def test_a_text_is_stored_in_a_form_that_is_safe_to_display(
    text: str, expected: str | None
) -> None:
    """Nothing that the digest leaves open can hide a letter or fill a page (R5)."""
    assert expected == text_to_keep(text)


@given(
    st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\u212a\u0130\u03a3 \t\u2028")))
)
def test_the_stored_form_has_the_digest_of_the_text(text: str) -> None:
    """And prints (R5)."""
    kept = text_to_keep(text)
    assert kept is None or (kept.isprintable() and text_digest(kept) == text_digest(text))


# Real data -----------------------------------------------------------------------------------


def test_real_records() -> None:
    """R2, R3, R5: hash, number, title and abstract of each, as far as they are known."""
    for line in [*real_lines("signed_records"), *real_lines("tex_titles")]:
        record = parse_record(line["canonical_record"])
        metadata = line["canonical_record"]["metadata"]
        assert line["canonical_sha256"] == record.canonical_sha256
        assert line["pith_number"] == record.pith_number
        assert metadata["title_canon_sha256"] == text_digest(line["title"])
        assert is_text_digest_confirmed(line["title"])
        if "abstract" in line:
            assert metadata["abstract_canon_sha256"] == text_digest(line["abstract"])
            assert is_text_digest_confirmed(line["abstract"])


def test_accents_of_tex_are_hashed_as_they_are_written() -> None:
    """R5: without its marks, or with the letter that TeX would set, a title is another one."""
    titles = [line for line in real_lines("tex_titles") if "\\" in line["title"]]
    assert titles
    for line in titles:
        expected = line["canonical_record"]["metadata"]["title_canon_sha256"]
        for other in (line["title"].replace("\\", ""), line["title"].replace('\\"o', "\xf6")):
            assert (text_digest(other) == expected) == (other == line["title"])


@pytest.mark.parametrize("kind", ["bundle_heads", "state_heads"])
def test_real_heads(kind: str) -> None:
    """R1 to R4: records, numbers and aliases as real bundles and states print them."""
    for head in real_lines(kind):
        record = parse_record(decode(to_json(head["canonical_record"])))
        aliases = [(alias["alias_kind"], alias["alias_value"]) for alias in head["source_aliases"]]
        assert head.get("canonical_sha256", record.canonical_sha256) == record.canonical_sha256
        assert head["pith_number"] == record.pith_number
        assert aliases == list(record.aliases)
        assert oracle.canonical(head["canonical_record"]) == canonical(record.value)
