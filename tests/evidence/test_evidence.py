"""Evidence: the same checks in Python and in JavaScript, and every lie is seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from mirror.core.values import canonical
from mirror.engine.evidence.check import (
    CheckedEvidence,
    EvidenceCheck,
    EvidenceStatus,
    check_evidence,
)
from mirror.errors import FormatError
from mirror.web.pages.evidence_file import (
    document_in,
    evidence_page,
    is_unchanged,
    verifier_script,
)
from tests.builders import Object, make_event, timestamp
from tests.engine.anchors.time_stamp_authority import TimeStampAuthority
from tests.evidence import hostile
from tests.evidence.samples import LIES, REGISTRY, smaller
from tests.verifier.program import node

MALFORMED = [b"", b"[]", b"{}", b'{"evidence_type":"pith_mirror_evidence","evidence_version":"2"}']


def changed(evidence: Object, lie: str) -> bytes:
    """Return the document with a lie."""
    document = deepcopy(evidence)
    LIES[lie][0](document)
    return canonical(document)


def in_javascript(documents: Iterable[bytes]) -> list[Any]:
    """Return the answers of the verifier, from one process."""
    program = Path(__file__).with_name("answers.mjs")
    lines = b"".join(b64encode(one) + b"\n" for one in documents)
    run = subprocess.run([node(), program], input=lines, capture_output=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def answer(document: bytes) -> Any:
    """Return the answer of Python, as `answers.mjs` writes it."""
    try:
        checked = check_evidence(document)
    except FormatError as error:
        return {"code": error.code}
    checks = [[one.name, one.status.value, _shown(one)] for one in checked.checks]
    return {"checks": checks, "trusts": [*dict.fromkeys(checked.trusts)], "holds": checked.holds}


def _shown(check: EvidenceCheck) -> str:
    """Return the words about a time; the others may differ."""
    return check.words if check.words.startswith("existed by") else ""


def statuses(checked: CheckedEvidence) -> dict[str, EvidenceStatus]:
    """Return the statuses by the first word or two of their names."""
    return {one.name.partition(" sha256:")[0]: one.status for one in checked.checks}


def test_the_proofs_of_an_honest_file_hold(evidence: Object) -> None:
    """Proofs hold; times that signers give, and what upstream said, are claims."""
    checked = check_evidence(canonical(evidence))
    assert checked.holds
    found = statuses(checked)
    holding = {name for name, status in found.items() if status is EvidenceStatus.HOLDS}
    assert holding >= {
        "record", "receipts", "events", "state", "inclusion", "key set", "checkpoint root",
        "checkpoint key set", "checkpoint signature", "checkpoint time-stamp",
    }  # fmt: skip
    claimed = {name for name, status in found.items() if status is EvidenceStatus.CLAIMED}
    assert claimed == {"refused events", "checkpoint time", "upstream state", "made"}
    stamps = [one.status for one in checked.checks if one.name.startswith("time-stamp")]
    assert sorted(stamps) == [
        EvidenceStatus.HOLDS,
        EvidenceStatus.NOT_CHECKED,
        EvidenceStatus.NOT_CHECKED,
    ]
    blocks = [one for one in checked.trusts if one.startswith("block")]
    assert len(blocks) == 2
    times = [one.words for one in checked.checks if one.words.startswith("existed by")]
    assert all("costs nothing to make" in one for one in (*blocks, *times))  # of regtest's headers


def test_an_authority_is_named_with_the_digest_of_its_root(evidence: Object) -> None:
    """Those who make a file choose the name, and may make the certificate."""
    document, authority = deepcopy(evidence), TimeStampAuthority("a known authority")
    bundle = json.loads(document["bundle"])
    record = bundle["canonical_record"]
    token = b64encode(authority.token(canonical(record))).decode()
    payload = timestamp(record, method="rfc3161", proof_b64=token)
    bundle["events"].append(make_event(record, REGISTRY, "timestamp_anchored", payload))
    document["bundle"] = json.dumps(bundle)
    document["authorities"] = [{"name": authority.name, "certificates": authority.pem().decode()}]
    checked = check_evidence(canonical(document))
    (words,) = [one.words for one in checked.checks if "authority" in one.words]
    (trusted,) = [one for one in checked.trusts if "authority" in one]
    digest = authority.root.fingerprint(SHA256()).hex()
    assert words.startswith("existed by 2026-06-01T12:00:00Z, says the time-stamp authority")
    assert digest in words
    assert digest in trusted


@pytest.mark.parametrize("lie", LIES)
def test_a_changed_document_fails_its_check(evidence: Object, lie: str) -> None:
    """The check that must fail fails."""
    checked = check_evidence(changed(evidence, lie))
    assert not checked.holds
    assert statuses(checked)[LIES[lie][1]] is EvidenceStatus.FAILS


def test_javascript_gives_the_same_answers(evidence: Object) -> None:
    """Names, statuses, times and whom to trust: of honest files, of lies, of hostile ones."""
    bare = {**evidence, "checkpoint": None, "headers": [], "upstream": []}
    documents = [canonical(evidence), canonical(bare), *MALFORMED]
    documents += [changed(evidence, lie) for lie in LIES]
    documents += [canonical(one) for one in hostile.documents(smaller(evidence))]
    assert in_javascript(documents) == [answer(one) for one in documents]


@pytest.mark.parametrize("document", MALFORMED)
def test_malformed_evidence_is_refused(document: bytes) -> None:
    with pytest.raises(FormatError):
        check_evidence(document)


# The file --------------------------------------------------------------------------------------


def test_the_page_holds_the_document(evidence: Object) -> None:
    """Whatever strings are in it; a usual record takes less than 300 kB."""
    hostile = {**evidence, "made_at": "</script><!--<script>\u2028&lt;\\u003c\\"}
    page = evidence_page(hostile)
    assert json.loads(document_in(page)) == hostile
    assert is_unchanged(page)
    assert page.lower().count(b"<script") == 2
    assert len(evidence_page(evidence)) < 300_000


def test_a_changed_page_is_detected(evidence: Object) -> None:
    page = evidence_page(evidence)
    assert not is_unchanged(page.replace(b"Evidence of a record", b"Proof of the truth"))


@pytest.mark.parametrize("page", [b"", b"<html></html>"])
def test_a_page_without_a_document_is_refused(page: bytes) -> None:
    with pytest.raises(FormatError, match=r"evidence\.shape"):
        document_in(page)


def test_the_script_has_no_end_tag() -> None:
    """No text in the modules ends the element or begins a comment of HTML."""
    script = verifier_script().lower()
    assert not any(one in script for one in ("</script", "<!--", "]]>"))


# By hand -----------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "evidence.md"
NEEDED = ("bash", "jq", "openssl", "xxd", "sha256sum")


def by_hand(folder: Path, page: bytes) -> list[str]:
    """Return what the commands in the document print about a file."""
    for name in NEEDED:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is absent: the checks by hand need it")
    (folder / "evidence.html").write_bytes(page)
    script = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[-1]
    run = subprocess.run(
        ["bash", "-c", script],  # noqa: S607
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return run.stdout.splitlines()


def test_the_documented_commands_verify_a_file(evidence: Object, tmp_path: Path) -> None:
    """Whatever keys of the key set signed is verified; what others signed is not."""
    lines = by_hand(tmp_path, evidence_page(evidence))
    verified = [one for one in lines if one.endswith("Signature Verified Successfully")]
    assert len(verified) == 1 + 7 + 1  # a receipt, events, the checkpoint
    assert [one.partition(":")[0] for one in lines[-3:]] == ["root", "note", "checkpoint"]
    assert [one for one in lines if "DIFFERS" in one] == ["event DIFFERS: " + lines_of_junk(lines)]


def lines_of_junk(lines: list[str]) -> str:
    """Return the rest of the line about the value that is no event."""
    (found,) = [one for one in lines if one.endswith("and null")]
    return found.removeprefix("event DIFFERS: ")


def test_the_documented_commands_detect_a_wrong_path(evidence: Object, tmp_path: Path) -> None:
    document = deepcopy(smaller(evidence))
    document["inclusion_proof"]["core_digest"] = "00" * 32
    assert any("the path DIFFERS" in one for one in by_hand(tmp_path, evidence_page(document)))
