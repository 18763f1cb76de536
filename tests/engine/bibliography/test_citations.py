"""Citations, as parsers that are not ours read them: for any text, one entry with its fields."""

from __future__ import annotations

import json
import re
from functools import cache
from io import BytesIO
from typing import Any

import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle
from citeproc import formatter as formatters
from citeproc.source.json import CiteProcJSON
from hypothesis import example, given
from hypothesis import strategies as st

from mirror.core.record import parse_record
from mirror.engine.bibliography.author_names import author_names
from mirror.engine.bibliography.citations import CITATION_FORMATS, citation_text
from mirror.engine.bibliography.claimed_paper import ClaimedPaper
from mirror.engine.bibliography.description import AuthorClaim, Description
from mirror.engine.bibliography.orcid import orcid_url
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.titles import RecordTitle
from tests.builders import make_record

NAMES = "Louis de Thanhoffer de Volcsey, Michel Van den Bergh"
BREAKS = "x} @misc{y, title={%\\input{/etc/passwd}\r\nER  - \r\nTY  - JOUR\u2028T1  - z \\"
WORDS = ["\\eta", "$x_1^{2}$", "\\'e", '{\\"o}', "^^5c", "\\H{o}", "\\alpha", "x", "1", "$a$",
         "{", "}", "\\", "@article{a,", '"', "%", "$", "#", "&", "_", "^", "~", "\r\n", "\nER  - ",
         "TY  - JOUR", " and ", "\u2028", "\x85", "\u202e", "<b>", "\\write18{x}", ",\n", "=", "'",
         "é", "花", "\U0001f600", " ", "a", "\x00", "(", ";"]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=12).map("".join)
URL = "https://pith.science/pith/X"


def described(
    title: str = "",
    authors: str = "",
    signer: str = "pith.science",
    claims: tuple[AuthorClaim, ...] = (),
    **record: Any,
) -> Description:
    """A description whose title and authors a graph snapshot claims."""
    claim = "claimed by somebody; it has the digest in the record"
    return Description(
        record=parse_record(make_record(**record)),
        title=RecordTitle(
            text=title, is_proved=True, is_claim=True, source=signer, at="", origin=claim
        )
        if title
        else None,
        abstract="",
        paper=ClaimedPaper(authors, "", signer, "2026-01-01T12:00:00Z", "") if authors else None,
        author_claims=claims,
        receipt_key_id="",
    )


def read_bibtex(text: str) -> dict[str, str]:
    """The fields of the one entry, with escapes of TeX undone, and its key."""
    library = parse_string(text)
    assert ([], 1) == (library.failed_blocks, len(library.blocks))
    entry = library.entries[0]
    assert "misc" == entry.entry_type
    return {"key": entry.key} | {one.key: str(one.value) for one in entry.fields}


HARMLESS = {*"\"'`^~=.Hcvudbroiljl", "ss", "O", "L", "eta", "prime", "alpha"}
COMMANDS = {"backslash": "\\", "braceleft": "{", "braceright": "}", "asciitilde": "~",
            "asciicircum": "^"}  # fmt: skip


def printed(field: str) -> str:
    """The text of a field: every command in it is one of a character, or of a simple formula."""

    def one(match: re.Match[str]) -> str:
        return COMMANDS[match[1]] if match[1] else match[2]

    left = re.sub(r"\\text(\w+)\{\}|\\([#$%&_])", "", field)
    assert not re.search(r"[#%&]|\^\^|(?<!\\)~", left)
    assert 0 == left.count("$") % 2
    assert {*re.findall(r"\\([A-Za-z]+|.)", left)} <= HARMLESS
    outside = "".join(left.split("$")[::2])
    assert not re.search(r"_|(?<!\\)\^", outside)
    return re.sub(r"\\text(\w+)\{\}|\\([#$%&_])", one, field)


def read_ris(text: str) -> dict[str, Any]:
    """The one reference."""
    found = rispy.loads(text, newline="\r\n")
    assert 1 == len(found)
    reference: dict[str, Any] = found[0]
    return reference


STYLE = b"""<style xmlns="http://purl.org/net/xbiblio/csl" class="in-text" version="1.0">
<info><title>x</title><id>x</id><updated>2026-01-01T00:00:00+00:00</updated></info>
<citation><layout><text variable="title"/></layout></citation>
<bibliography><layout>
<names variable="author"><name delimiter=";"/></names><text variable="title"/>
<date variable="issued" form="numeric" date-parts="year"/><text variable="note"/>
</layout></bibliography></style>"""


@cache
def _style() -> CitationStylesStyle:
    return CitationStylesStyle(BytesIO(STYLE), validate=False)


def read_csl(text: str) -> dict[str, Any]:
    """The item, which citeproc renders as one entry, too."""
    item: dict[str, Any] = json.loads(text)
    source = CiteProcJSON([item])
    shown = CitationStylesBibliography(_style(), source, formatters.plain)
    shown.register(Citation([CitationItem(item["id"].lower())]))
    entries = [str(one) for one in shown.bibliography()]
    assert 1 == len(entries)
    return item | {"shown": entries[0]}


@given(TEXTS, TEXTS, TEXTS)
@example(BREAKS, BREAKS, BREAKS)
def test_any_text_is_read_back_as_one_entry(title: str, authors: str, other: str) -> None:
    """Title, authors, signer, category and source may be anything."""
    record: dict[str, Any] = {"primary_cat": other, "arxiv_id": other} if other else {}
    about = described(title, authors, other, cross_cats=[], **record)
    number, digest = about.record.pith_number, about.record.canonical_sha256
    shown, names = one_line(title), about.author_literals
    written = {name: one.write(about, URL) for name, one in CITATION_FORMATS.items()}

    entry = read_bibtex(written["bibtex"])
    assert (number, f"Pith Number {number}") == (entry["key"], entry["note"])
    assert digest in entry["annote"]
    assert (_bare(shown), URL) == (_bare(printed(entry.get("title", ""))), entry["url"])
    listed = " and ".join(f"{{{one}}}" for one in map(_escaped, names))
    assert listed == entry.get("author", "")

    reference = read_ris(written["ris"])
    assert (number, shown) == (reference["accession_number"], reference.get("title", ""))
    assert [*about.author_names] == reference.get("authors", [])
    listed_in_note = [f"Authors: {one}" for one in names if not about.author_names]
    assert listed_in_note == [one for one in reference["notes"] if one in listed_in_note]
    assert ([URL], f"Canonical SHA-256 {digest}") == (reference["urls"], reference["custom1"])

    item = read_csl(written["csl-json"])
    assert (number, shown) == (item["id"], item.get("title", ""))
    assert [{"literal": one} for one in names] == item.get("author", [])
    assert number in item["note"]
    assert digest in item["note"]
    assert "\n" not in citation_text(about, URL)


def _bare(text: str) -> str:
    """Text without braces, which stand around what passes as TeX."""
    return re.sub("[{}]", "", text)


def _escaped(text: str) -> str:
    field = read_bibtex(CITATION_FORMATS["bibtex"].write(described(text or "x"), URL))
    return field["title"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('Schr\\"odinger Operators', True),
        ("Encoding Tasks and R\\'enyi Entropy", True),
        ("Erd\\H{o}s, {\\'E}va, \\v{c}, \\'{\\i}, Stra\\ss e", True),
        (r"Proton-$\eta^\prime$ interactions", True),
        (r"On $x_{i+1}^2 = \alpha(n)$ and $p$", True),
        (r"$\input{x}$", False),
        (r"$^^5cinput$", False),
        (r"$x^a^b$", False),
        (r"$x^{a_b}$", False),
        (r"$\etax$", False),
        ("from $5 to $6", False),
        (r"\$a$", False),
        (r"\ssx", False),
        (r"\k{a}", False),  # an error in the font encoding that LaTeX begins with
        ("$a", False),
        ("{a", False),
    ],
)
def test_harmless_tex_in_titles_is_kept(text: str, passes: bool) -> None:  # noqa: FBT001
    field = read_bibtex(CITATION_FORMATS["bibtex"].write(described(text), URL))["title"]
    assert passes == (_bare(field) == _bare(text))
    assert passes or text == printed(field)


def test_a_paper_of_arxiv_has_the_fields_of_arxiv() -> None:
    about = described("On mirrors", NAMES)
    written = {name: one.write(about, URL) for name, one in CITATION_FORMATS.items()}
    entry = read_bibtex(written["bibtex"])
    assert {
        "eprint": "2401.00001", "archivePrefix": "arXiv", "primaryClass": "cs.DL", "version": "1",
        "doi": "10.48550/arxiv.2401.00001", "year": "2024", "month": "jan", "day": "2",
        "author": "{Louis de Thanhoffer de Volcsey} and {Michel Van den Bergh}",
    }.items() <= entry.items()  # fmt: skip
    reference = read_ris(written["ris"])
    assert NAMES.split(", ") == reference["authors"]
    assert ["cs.DL", "cs.CR", "math.HO"] == reference["keywords"]
    assert ("2024", "2024/01/02") == (reference["year"], reference["date"])
    assert ("10.48550/arxiv.2401.00001", "arXiv:2401.00001v1") == (
        reference["doi"], reference["note"],
    )  # fmt: skip
    item = read_csl(written["csl-json"])
    assert ("10.48550/arxiv.2401.00001", "arXiv:2401.00001") == (item["DOI"], item["number"])
    assert {"date-parts": [[2024, 1, 2]]} == item["issued"]
    assert item["shown"].startswith(f"{NAMES.replace(', ', ';')}On mirrors2024Pith Number")
    said = "Title: claimed by somebody; it has the digest in the record."
    assert said in entry["annote"]
    assert said in item["note"]
    assert said in reference["notes"]
    assert any(one.startswith("Authors: claimed by pith.science in") for one in reference["notes"])


def test_a_record_without_claims_has_a_minimal_entry() -> None:
    about = described(kind="zenodo")
    entry = read_bibtex(CITATION_FORMATS["bibtex"].write(about, URL))
    assert not {"title", "author", "doi", "eprint", "archivePrefix"} & entry.keys()
    assert "Record: no verified receipt from a trusted key. Title: not known" in entry["annote"]
    reference = read_ris(CITATION_FORMATS["ris"].write(about, URL))
    assert not {"title", "authors", "doi", "publisher"} & reference.keys()
    assert (
        not {"title", "author", "DOI"}
        & read_csl(CITATION_FORMATS["csl-json"].write(about, URL)).keys()
    )
    number = about.record.pith_number
    assert f"zenodo:2401.00001 v1 (2024). {number}. {URL}" == citation_text(about, URL)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (NAMES, NAMES.split(", ")),
        ("Lovelace, Ada; Diddley, Bo", ["Lovelace, Ada", "Diddley, Bo"]),
        ("Ada Lovelace", ["Ada Lovelace"]),
        ("Ada", ["Ada"]),
        ("Lovelace, Ada", []),
        ("Ada Lovelace, Bo", []),
        ("Ada Lovelace and Bo Diddley", []),
        ("A B (for C, D E), F G", []),
        ("J M&uuml;ller; A B", []),
        ("A B, ", ["A B"]),
        ("; ", []),
        ("", []),
    ],
)
def test_authors_are_listed_where_the_text_separates_them(text: str, names: list[str]) -> None:
    assert names == [*author_names(text, is_arxiv=True)]


def test_a_comma_separates_authors_at_arxiv_only() -> None:
    assert () == author_names(NAMES, is_arxiv=False)
    assert ("Ada Lovelace",) == author_names("Ada Lovelace", is_arxiv=False)


@pytest.mark.parametrize(
    ("claimant_id", "url"),
    [
        ("https://orcid.org/0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"),
        ("http://www.orcid.org/0000-0002-1694-233x", "https://orcid.org/0000-0002-1694-233X"),
        ("0000-0002-1694-233X", "https://orcid.org/0000-0002-1694-233X"),
        ("ORCID:0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"),
        ("https://orcid.org/0000-0002-1825-0098", ""),
        ("https://orcid.org/0000-0002-1825-0097>", ""),
        ("0000-0002-1825-0097\n", ""),
        ("٠٠٠٠-0002-1825-0097", ""),
        ("", ""),
    ],
)
def test_an_orcid_id_has_its_check_digit(claimant_id: str, url: str) -> None:
    assert url == orcid_url(claimant_id)


def test_only_claims_by_orcid_name_an_orcid_id() -> None:
    claimed = "https://orcid.org/0000-0002-1825-0097"
    claims = [AuthorClaim(claimed, method, "strong", "s") for method in ("x", "orcid", "orcid")]
    assert (claimed,) == described(claims=tuple(claims)).orcid_urls
