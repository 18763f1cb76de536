"""`pith.sty`: papers are compiled, and text, links and metadata of their PDFs read back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from pypdf import PdfReader

Compile: TypeAlias = Callable[..., "Compiled"]

LATEX = Path(__file__).resolve().parents[2] / "latex"
ENGINES = ("pdflatex", "xelatex", "lualatex")
SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"
OTHER = "MENY3Y3QFD42TXHI5C7CMJ4DN5"
BADGE = "pith:7SOLO26T"
NUMBER = f"pith:{SUFFIX}"
LINK = f"https://pith.science/pith/{SUFFIX}"
TITLE = r"\title{On mirrors}\author{A. Author}\date{May 2026}"


class Link(NamedTuple):
    """A link of a PDF."""

    address: str
    rectangle: list[float]
    """Left, bottom, right and top, in points."""
    border: list[float]

    @staticmethod
    def of(annotation: Mapping[str, Any]) -> Link:
        """Read an annotation of the subtype Link."""
        rectangle, border = (
            [float(at) for at in annotation[name]] for name in ("/Rect", "/Border")
        )
        return Link(annotation["/A"]["/URI"], rectangle, border)


@dataclass(frozen=True)
class Compiled:
    """A document after one run of TeX."""

    exit_code: int
    log: str
    """Messages in one line each."""
    pdf: Path

    @property
    def texts(self) -> list[str]:
        """The text of each page, white space as single spaces."""
        return [" ".join(page.extract_text().split()) for page in PdfReader(self.pdf).pages]

    @property
    def metadata(self) -> dict[str, str]:
        """The document information dictionary."""
        return {name: str(value) for name, value in (PdfReader(self.pdf).metadata or {}).items()}

    @property
    def links(self) -> list[Link]:
        """The links to the web."""
        pages = PdfReader(self.pdf).pages
        annotations = [one.get_object() for page in pages for one in page.get("/Annots", ())]
        return [Link.of(one) for one in annotations if "/URI" in one.get("/A", {})]


@pytest.fixture(scope="session")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fonts as LuaLaTeX has prepared them."""
    return tmp_path_factory.mktemp("fonts")


@pytest.fixture
def compile_paper(tmp_path: Path, fonts: Path) -> Compile:
    """`compile_paper(engine, head, body, *options)`, in a folder of its own."""

    def compile_paper(engine: str, head: str, body: str, *options: str) -> Compiled:
        source = f"{head}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
        return run(tmp_path, fonts, engine, source, *options)

    return compile_paper


def run(folder: Path, fonts: Path, engine: str, source: str, *options: str) -> Compiled:
    """Compile a document in a folder; TeX writes nothing outside these two."""
    program = shutil.which(engine)
    if program is None:
        pytest.skip(f"{engine} is not installed: as root on Debian, scripts/setup installs it")
    (folder / "paper.tex").write_text(source, "utf-8")
    environment = os.environ | {
        "HOME": str(fonts),
        "TEXINPUTS": f"{LATEX}:",
        "TEXMFCACHE": str(fonts),
        "TEXMFVAR": str(fonts),
        "MKTEXPK": "0",  # no bitmaps are drawn
        "max_print_line": "1000",
    }
    command = [program, "-interaction=nonstopmode", *options, "paper.tex"]
    code = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    log = (folder / "paper.log").read_text("utf-8", "replace")
    if missing := re.search(r"^! LaTeX Error: File `(?!pith)(.*?)' not found", log, re.MULTILINE):
        pytest.skip(f"TeX Live is not whole here: {missing[1]} is missing")
    log = re.sub(r"\n\(pith\) +", " ", log)
    return Compiled(code.returncode, log, folder / "paper.pdf")


def errors(compiled: Compiled) -> list[str]:
    """The package's errors."""
    return re.findall(r"^! Package pith Error: (.*)$", compiled.log, re.MULTILINE)


def warnings(compiled: Compiled) -> list[str]:
    """The package's warnings."""
    warning = r"^Package pith Warning: (.*?)(?: on input line \d+)?\.$"
    return re.findall(warning, compiled.log, re.MULTILINE)


# Badge, link and number ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_an_article(engine: str, compile_paper: Compile) -> None:
    """The title shows the badge, and so does the text where the command stands."""
    head = (
        r"\documentclass{article}\usepackage{lmodern}"
        r"\usepackage[url=https://a.example/~me_2/$x&y/]{pith}"
        rf"\pithnumber{{{SUFFIX}}}\title{{On mirrors\thanks{{By hand}}}}\author{{A. Author}}"
    )
    body = rf"\date{{May 2026}}\maketitle Text \pithnumber{{{SUFFIX}}} goes on."
    paper = compile_paper(engine, head, body)
    assert (0, [], []) == (paper.exit_code, errors(paper), warnings(paper))
    assert re.search(f"A. Author May 2026 {BADGE} Text {BADGE} goes on. . ?By hand", paper.texts[0])
    assert paper.metadata["/PithNumber"] == NUMBER
    (above, first, border), (below, second, _) = paper.links
    assert above == below == f"https://a.example/~me_2/$x&y/pith/{SUFFIX}"
    assert border == [0, 0, 0]
    assert first[1] > second[3]
    for left, bottom, right, top in (first, second):
        assert 60 < right - left < 70
        assert 12 < top - bottom < 16


@pytest.mark.parametrize("engine", ENGINES)
def test_a_report_with_hyperref_after_it(engine: str, compile_paper: Compile) -> None:
    """The title has a page of its own, and the keywords are the author's."""
    head = (
        rf"\documentclass{{report}}\usepackage{{pith}}\pithnumber{{{SUFFIX}}}\usepackage[OT1]{{fontenc}}"
        rf"\usepackage[hidelinks,pdfkeywords={{one, two}},pdftitle=T]{{hyperref}}{TITLE}"
    )
    paper = compile_paper(engine, head, r"\maketitle Text")
    assert (0, [], []) == (paper.exit_code, errors(paper), warnings(paper))
    assert paper.texts == [f"On mirrors A. Author May 2026 {BADGE}", "Text 1"]
    expected = {"/PithNumber": NUMBER, "/Keywords": "one, two", "/Title": "T"}
    assert expected == {name: paper.metadata[name] for name in expected}
    assert [(LINK, [0, 0, 0])] == [(to, border) for to, _, border in paper.links]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_article_of_the_ams_with_hyperref_before_it(engine: str, compile_paper: Compile) -> None:
    """The badge is between authors and abstract, and links of the author keep their frames."""
    head = (
        r"\documentclass{amsart}\usepackage[OT1]{fontenc}\usepackage{hyperref}\usepackage{pith}"
        rf"{TITLE}\pithnumber{{{SUFFIX}}}"
    )
    body = r"\begin{abstract}Short.\end{abstract}\maketitle \href{https://b.example}{Text}"
    paper = compile_paper(engine, head, body)
    assert (0, [], []) == (paper.exit_code, errors(paper), warnings(paper))
    assert f"ON MIRRORS A. AUTHOR {BADGE} Abstract. Short. Text" in paper.texts[0]
    assert paper.metadata["/PithNumber"] == NUMBER
    assert [(LINK, [0, 0, 0]), ("https://b.example", [0, 0, 1])] == [
        (to, border) for to, _, border in paper.links
    ]


@pytest.mark.parametrize(
    ("head", "links"),
    [
        (r"\documentclass[titlepage]{article}", 1),
        (r"\documentclass[twocolumn]{article}", 1),
        (r"\documentclass{scrartcl}", 1),
        (r"\documentclass[aps]{revtex4-2}", 1),
        (r"\documentclass{article}\expandafter\let\csname if@titlepage\endcsname\undefined", 1),
        (r"\documentclass{beamer}", 1),
        (r"\documentclass{article}\usepackage[draft]{hyperref}", 0),
    ],
)
def test_other_titles(head: str, links: int, compile_paper: Compile) -> None:
    """Each shows one badge after its end; as a draft, hyperref makes no links."""
    head = rf"{head}\usepackage{{pith}}\pithnumber{{{SUFFIX}}}"
    paper = compile_paper("pdflatex", head, rf"{TITLE}\maketitle \frame{{Text}}")
    assert (0, [], []) == (paper.exit_code, errors(paper), warnings(paper))
    end = rf"A. Author (\(Dated: )?May 2026\)? {BADGE} Text"
    assert re.search(end, " ".join(paper.texts))
    assert [LINK] * links == [one.address for one in paper.links]
    assert paper.metadata["/PithNumber"] == NUMBER


def test_a_document_without_a_title_is_warned(compile_paper: Compile) -> None:
    """And so is one with a short form; the number is in the PDF all the same."""
    head = rf"\documentclass{{article}}\usepackage{{pith}}\pithnumber{{{SUFFIX[:12]}}}"
    paper = compile_paper("pdflatex", head, "Text")
    assert paper.exit_code == 0
    short, missing = warnings(paper)
    assert f"The suffix '{SUFFIX[:12]}' is a short form, which several records may share" in short
    assert "No title has shown the badge" in missing
    assert f"write \\pithnumber{{{SUFFIX[:12]}}} where it is to stand" in missing
    assert paper.texts == ["Text 1"]
    assert paper.metadata["/PithNumber"] == f"pith:{SUFFIX[:12]}"


def test_without_a_pdf_there_is_a_badge_and_a_warning(compile_paper: Compile) -> None:
    """Only the engine knows how a DVI becomes a PDF, if at all."""
    head = rf"\documentclass{{article}}\usepackage{{pith}}\pithnumber{{{SUFFIX}}}{TITLE}"
    paper = compile_paper("latex", head, r"\maketitle Text")
    assert paper.exit_code == 0
    assert warnings(paper) == [
        "No PDF is made here, so that it cannot have the Pith Number in its metadata"
    ]
    assert b"7SOLO26T" in paper.pdf.with_suffix(".dvi").read_bytes()


# Errors --------------------------------------------------------------------------------------

ALPHABET = "a suffix has only capital letters A to Z and digits 2 to 7."
WRONG = {
    "": r"\pithnumber got no suffix.",
    " ": r"\pithnumber got no suffix.",
    "7SOLO%26T": f"The suffix '7SOLO%26T' has '%' at place 6; {ALPHABET}",
    "7SOLO#6T": f"The suffix '7SOLO#6T' has '#' at place 6; {ALPHABET}",
    "7SOLO_6T": f"The suffix '7SOLO_6T' has '_' at place 6; {ALPHABET}",
    r"7SOLO\6T": rf"The suffix '7SOLO\6T' has '\' at place 6; {ALPHABET}",
    "7SOLO{26}T": "The suffix '7SOLO{26}T' has '{' at place 6; " + ALPHABET,
    "~$^&": f"The suffix '~$^&' has '~' at place 1; {ALPHABET}",
    "1SOLO26T": f"The suffix '1SOLO26T' has '1' at place 1; {ALPHABET}",
    "7SOLO26t": f"The suffix '7SOLO26t' has the small letter 't' at place 8; {ALPHABET}",
    "7SÖLO26T": f"The suffix '7SÖLO26T' has a letter that is not ASCII at place 3; {ALPHABET}",
    "pith:2017:A": f"The suffix 'pith:2017:A' has the small letter 'p' at place 1; {ALPHABET}",
    "7": "The suffix '7' has 1 letter; a whole one has 26, and its short forms have 8, 12 or 16.",
    SUFFIX[:25]: f"The suffix '{SUFFIX[:25]}' has 25 letters; a whole one has 26, and its short"
    " forms have 8, 12 or 16.",
}
"""Suffixes, and what is said of them."""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_suffix_is_an_error_that_says_why(engine: str, compile_paper: Compile) -> None:
    """In the preamble, in the text, and after a right one; nothing of it is printed."""
    head = "\\documentclass{article}\n\\usepackage[OT1]{fontenc}\n\\usepackage{pith}\n"
    calls = [f"\\pithnumber{{{suffix}}}" for suffix in WRONG]
    body = "\n".join(["Text", *calls, f"\\pithnumber{{{SUFFIX}}}", f"\\pithnumber{{{OTHER}}}"])
    paper = compile_paper(engine, head + "\n".join(calls), body)
    assert paper.exit_code == 1
    other = f"The Pith Number of this document is '{SUFFIX}' already, and cannot be '{OTHER}', too."
    assert errors(paper) == [*WRONG.values(), *WRONG.values(), other]
    assert paper.texts == [f"Text {BADGE} 1"]
    assert len(paper.links) == 1


def test_a_number_has_one_of_four_lengths(compile_paper: Compile) -> None:
    """A whole suffix, and the short forms of R4."""
    tried = [(SUFFIX + "A" * 4)[:length] for length in range(1, 30)]
    head = "\\documentclass{article}\\usepackage{pith}\\pithnumber{" + OTHER + "}\n"
    calls = "\n".join(f"\\pithnumber{{{one}}}" for one in tried)
    said = errors(compile_paper("pdflatex", head + calls, "Text", "-draftmode"))
    accepted = [len(suffix) for suffix, error in zip(tried, said, strict=True) if OTHER in error]
    assert accepted == [8, 12, 16, 26]


def test_the_first_error_can_end_the_run(compile_paper: Compile) -> None:
    """There is no PDF then."""
    head = r"\documentclass{article}\usepackage{pith}\pithnumber{7SOLO}"
    paper = compile_paper("pdflatex", head, "Text", "-halt-on-error")
    assert paper.exit_code == 1
    assert not paper.pdf.exists()
    assert len(errors(paper)) == 1


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("url=mirror.example", "The option url=mirror.example is no address of a mirror."),
        ("url=https://a.example/(b)", "The option url=https://a.example/(b) is no address"),
        ("url=https://", "The option url=https:// is no address of a mirror."),
        ("uri=https://a.example", "Unknown option 'uri' for package pith."),
    ],
)
def test_a_wrong_option_is_an_error(option: str, said: str, compile_paper: Compile) -> None:
    """The package says what it got."""
    head = rf"\documentclass{{minimal}}\usepackage[{option}]{{pith}}"
    paper = compile_paper("pdflatex", head, "Text", "-draftmode")
    assert paper.exit_code == 1
    assert said in paper.log
