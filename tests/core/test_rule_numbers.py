"""Rules of codes and of members of a state: each has a title, and each code is of the protocol."""

from __future__ import annotations

import re
from pathlib import Path

from mirror.core.rule_numbers import RULES_OF_CODES, RULES_OF_MEMBERS, TITLES

PROTOCOL = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


def test_each_rule_has_a_title() -> None:
    assert {*RULES_OF_CODES.values(), *RULES_OF_MEMBERS.values()} <= TITLES.keys()


def test_each_code_and_rule_stands_in_the_protocol() -> None:
    """A renamed code, or a rule that is gone, is found."""
    text = PROTOCOL.read_text()
    assert [code for code in RULES_OF_CODES if f"| `{code}` |" not in text] == []
    rules = [rule for rule in TITLES if re.fullmatch("[A-Z][0-9]+", rule)]
    assert [rule for rule in rules if not re.search(rf"\b{rule}\b", text)] == []
