"""The names of records: an identifier means just the records whose names it may be (R3, R4)."""

from __future__ import annotations

import pytest

from mirror.core.identifier import (
    Identifier,
    is_named,
    names_in,
    names_of,
    path_name,
    split_version,
)
from mirror.core.record import Record
from mirror.engine.identifiers import find_all
from mirror.store import open_store
from mirror.store.records import columns_of
from tests.builders import make_record

SUFFIX = Record(make_record()).suffix

RECORDS = [
    Record(make_record(arxiv_id=arxiv_id, version=version, kind=kind, submitted_at=at))
    for arxiv_id, version, kind, at in (
        ("2401.00001", 1, "arxiv", "2024-01-02T03:04:05Z"),
        ("2401.00001", 2, "arxiv", "2024-01-02T03:04:05Z"),
        ("2401.00001v1", 1, "arxiv", "2024-01-02T03:04:05Z"),
        ("hep-th/9801199", 12, "arxiv", "1998-01-02T03:04:05Z"),
        ("10.48550/arXiv.2401.00001", 1, "journal", "2025-01-02T03:04:05Z"),
        (SUFFIX, 1, "odd", "2024-01-02T03:04:05Z"),
        (SUFFIX[:8].lower(), 1, "odd", "2024-01-02T03:04:05Z"),
        (f"pith:{SUFFIX}", 2**40, "odd", "2024-01-02T03:04:05Z"),
        ("a\nbv1", 1_000_000_000, "odd", "0001-01-02T03:04:05Z"),
        ("a\nb", 1, "odd", "0001-01-02T03:04:05Z"),
        ("x/", 1, "odd", "2024-01-02T03:04:05Z"),
        (Record(make_record()).canonical_sha256, 1, "odd", "2024-01-02T03:04:05Z"),
    )
]

IDENTIFIERS = [
    identifier
    for record in RECORDS
    for name in (
        str(record.source["id"]),
        f"{record.source['id']}v{record.source['version']}",
        f"10.48550/arXiv.{record.source['id']}",
        f"10.48550/arxiv.{record.source['id']}v{record.source['version']}",
        record.canonical_sha256,
        record.pith_number,
        f"pith:{record.suffix}",
        record.pith_number.upper(),
        record.short_pith_number,
        f"pith:1999:{record.suffix}",
        record.suffix.lower(),
        record.suffix[:7],
        record.suffix[:13],
    )
    for identifier in (
        name,
        f" {name}\n",
        f"arxiv:{name}",
        f"https://arxiv.org/abs/{name}",
        f"http://www.arxiv.org/pdf/{name}.pdf?a#b",
        f"https://doi.org/{name}",
        f"https://mirror.example/pith/{name}/bundle.json",
        f"mirror.example/.well-known/pith/{name}/",
    )
] + ["", " ", "v1", "/", "2401.00001v01", "2401.00001v2v3", "a" * 1001, "https://arxiv.org/abs/"]


def test_names_of_identifiers_agree_with_look_ups() -> None:
    """Whatever is written: both say of each record whether it is meant."""
    found = 0
    with open_store(None) as store:
        store.records.add((row, columns_of(one)) for row, one in enumerate(RECORDS, 1))
        for identifier in IDENTIFIERS:
            meant = {
                row
                for row, record in enumerate(RECORDS, 1)
                if {*names_in(identifier)} & {*names_of(record)}
            }
            assert meant == set(find_all(store.records, identifier)), identifier
            found += bool(meant)
    assert found > len(IDENTIFIERS) / 2


@pytest.mark.parametrize(
    ("identifier", "names"),
    [
        ("arXiv: 2401.00001v2 ", ["source:2401.00001v2"]),
        ("https://doi.org/10.48550/arXiv.2401.00001",
         ["source:2401.00001", "source:10.48550/arXiv.2401.00001"]),
        ("pith:2024:7solo26t", ["pith:2024:7SOLO26T", "source:pith:2024:7solo26t"]),
        ("https://pith.science/pith/7SOLO26T.json", ["pith:7SOLO26T", "source:7SOLO26T"]),
        ("a" * 64, ["sha256:" + "a" * 64, "source:" + "a" * 64]),
        ("x" * 1001, []),
    ],
)  # fmt: skip
def test_an_identifier_has_few_names_each_in_one_spelling(
    identifier: str, names: list[str]
) -> None:
    """As the index of citations keeps them."""
    assert names == [str(name) for name in names_in(identifier)]


def test_no_two_names_have_one_spelling() -> None:
    """Not even those of sources that call their papers what others are called."""
    names = [name for record in RECORDS for name in names_of(record)]
    assert len({*names}) == len({str(name) for name in names})
    assert str(Identifier("pith", "7SOLO26T", "2017")) != str(Identifier("source", "2017:7SOLO26T"))


# Names in a path -----------------------------------------------------------------------------

REAL = "7SOLO26TLPZRGSRX2HH227CICV"


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("1705.09786", "1705.09786"),
        ("1705.09786v3", "1705.09786v3"),
        (" arXiv: 1705.09786 ", "1705.09786"),
        ("https://arxiv.org/abs/1705.09786v3", "1705.09786v3"),
        ("https://export.arxiv.org/abs/1705.09786", "1705.09786"),
        ("https://not-arxiv.example/abs/1705.09786", ""),
        ("https://arxiv.org/pdf/1705.09786v3.pdf", "1705.09786v3"),
        ("doi:10.48550/arXiv.1705.09786", "1705.09786"),
        ("https://doi.org/10.48550/arxiv.1705.09786", "1705.09786"),
        ("hep-th/9801199", "hep-th/9801199"),
        (f"pith:2017:{REAL}", REAL),
        (f"pith:{REAL[:8].lower()}", REAL[:8]),
        (REAL[:12], REAL[:12]),
        (f"https://pith.science/pith/{REAL}/bundle.json", REAL),
        (f"pith.science/.well-known/pith/{REAL}/bundle.json?x=1", REAL),
        ("0" * 64, "A" * 26),
        ("", ""),
        ("..", ""),
        ("../../health", ""),
        ("two words", ""),
        ("a" * 2000, ""),
        ("x\x00y", ""),
        ("\udcff", ""),
    ],
)
def test_an_identifier_has_one_name_in_a_path(identifier: str, name: str) -> None:
    """In any form; a text that is not an identifier has none."""
    assert name == path_name(identifier)


def test_a_record_has_the_names_by_which_it_was_requested() -> None:
    """In any case; but a whole suffix is the name of one record, whatever others say of theirs."""
    paper = Record(make_record(arxiv_id="hep-th/9801199"))
    assert is_named(paper, "HEP-TH/9801199")
    assert is_named(paper, "hep-th/9801199v1")
    assert is_named(paper, paper.suffix[:8])
    assert not is_named(paper, paper.suffix[:7])
    assert not is_named(paper, "hep-th/9801199v2")
    pretender = Record(make_record(arxiv_id=paper.suffix))
    assert [True, False] == [is_named(one, paper.suffix) for one in (paper, pretender)]
    assert not is_named(pretender, paper.suffix.lower())


def test_a_version_is_split_from_a_source_id() -> None:
    """If the id ends in one."""
    assert split_version("1705.09786v3") == ("1705.09786", 3)
    assert [None] * 4 == [split_version(one) for one in ("1705.09786", "v3", "av0", "av1234567890")]
