"""Increments: base and increments together are the whole, and a missing base is told of."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import bagit
import msgpack
import pytest
import zstandard

from mirror.archive import Bag, ReadLimits, open_source, write_bag
from mirror.cli import exit_codes
from mirror.core.keys import KeySet
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import ExportOptions, ExportResult, export_bag, record_export
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.base_bag import BASE, BASE_HOLDS
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check_and_repair
from mirror.engine.states.trust import add_keys
from mirror.errors import LookUpError, OutputError, SourceError
from mirror.store import open_store
from tests import oracle
from tests.builders import (
    NOON,
    Object,
    Signer,
    author_claim,
    challenge,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.helpers import keys_of

AUTHOR = Signer("author")
OLD, NEW, OTHER = (make_record(name, arxiv_id=f"2401.0000{at}") for at, name in enumerate("onp"))
LATER = "2026-02-02T00:00:00Z"
KEYS = keys_of(AUTHOR)
NOBODY = KeySet([])
NO_LIMITS = ReadLimits()

Fact: TypeAlias = tuple[str, str, bytes]
"""Pith Number, member of the bundle, canonical bytes."""


def event(number: int, record: Object = OLD) -> Object:
    """One of many valid events."""
    return make_event(record, AUTHOR, "author_claimed", author_claim(claimant_id=str(number)))


class Place:
    """A folder of stores and bags, and what commands do there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where a file of this name is."""
        return self.folder / name

    def merge(self, store: str, *sources: str, limits: ReadLimits = NO_LIMITS) -> list[str]:
        """Merge files into a store that trusts their author; return the codes of findings."""
        return [report.code for report in self.merge_fully(store, *sources, limits=limits)[1]]

    def merge_fully(
        self, store: str, *sources: str, limits: ReadLimits = NO_LIMITS, trusting: KeySet = KEYS
    ) -> tuple[Summary, list[Finding]]:
        """Merge files into a store; return figures and findings."""
        reports: list[Finding] = []
        names = [str(self.path(name)) for name in sources]
        with open_store(self.path(store)) as opened:
            add_keys(opened, trusting)
            return ingest(opened, ReadRequest(names, reports.append, limits=limits)), reports

    def add(self, store: str, *bundles: Object) -> None:
        """Merge bundles, in which nothing may be wrong."""
        self.path("bundles.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
        assert [] == self.merge(store, "bundles.jsonl")

    def export(
        self,
        store: str,
        out: str,
        since: str | None = None,
        *,
        packed: bool = False,
        record: Object | None = None,
    ) -> ExportResult:
        """Export a store, or one record of it, as the command does; `since` is a file or a root."""
        base = str(self.path(since)) if since and self.path(since).exists() else since
        with open_store(self.path(store), read_only=True) as opened:
            ids = None if record is None else [id_of(self.path(store), record)]
            inputs = () if base is None else (Path(base),)
            file = OutputFile(self.path(out), force=True, inputs=inputs)
            exported = export_bag(opened, file, ExportOptions(ids, packed, base))
        if exported.root:
            record_export(self.path(store), exported)
        return exported

    def content(self, store: str) -> bytes:
        """All facts of a store, as its bag."""
        self.export(store, "content.tar")
        return self.path("content.tar").read_bytes()

    def bundles(self, bag: str) -> list[Object]:
        """What is in a bag, by other means than the mirror's."""
        found: list[Object] = []
        with tarfile.open(self.path(bag)) as tar:
            for info in tar:
                file = tar.extractfile(info)
                data = file.read() if file else b""
                if info.name.endswith("/bundle.json"):
                    found.append(json.loads(data))
                elif info.name.endswith(".msgpack.zst"):
                    unpacker = msgpack.Unpacker()
                    unpacker.feed(zstandard.decompress(data))
                    found.extend(unpacker)
        return found

    def facts(self, bag: str) -> Counter[Fact]:
        """The facts in a bag, each as often as it is there."""
        return Counter(
            (bundle["pith_number"], member, oracle.canonical(item))
            for bundle in self.bundles(bag)
            for member in ("source_aliases", "receipts", "events")
            for item in bundle.get(member, [])
        )

    def bag(self, name: str) -> Bag:
        """What a bag says of itself."""
        with open_source(str(self.path(name)), ReadLimits()) as source:
            (bag,) = [item for item in source.items() if isinstance(item, Bag)]
        return bag


def id_of(store: Path, record: Object) -> int:
    """The row id of a record."""
    with open_store(store, read_only=True) as opened:
        found = opened.records.find(bytes.fromhex(oracle.record_digest(record)))
    assert found is not None
    return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder where nothing is yet."""
    return Place(tmp_path)


SINCE: dict[str, tuple[bool, Callable[[ExportResult], str]]] = {
    "a plain bag": (False, lambda _exported: "base.tar"),
    "a packed bag": (True, lambda _exported: "base.tar"),
    "the root of a plain bag": (False, lambda exported: exported.root),
    "the root of a packed bag": (True, lambda exported: exported.root),
}
"""Ways to name a base: whether it is packed, and how it is named."""

Grown: TypeAlias = tuple[Place, str]
"""A place with a store of one record that was exported, and how a person names that export."""


@pytest.fixture(params=list(SINCE.values()), ids=list(SINCE))
def grown(request: pytest.FixtureRequest, place: Place) -> Grown:
    """A store that is about to grow, and its bag so far."""
    packed, since = request.param
    place.add("full.db", make_bundle(OLD, [event(1)], [make_receipt(OLD, AUTHOR)]))
    return place, since(place.export("full.db", "base.tar", packed=packed))


# What an increment holds ---------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_only_new_facts_of_an_old_record_are_in_it(grown: Grown, *, packed: bool) -> None:
    """New events, receipts and alias claims, valid or not, and nothing that was there before."""
    place, since = grown
    receipt = {**make_receipt(OLD, AUTHOR), "note": "another"}
    place.add("full.db", make_bundle(OLD, [event(1), event(2)], [make_receipt(OLD, AUTHOR)]))
    place.add("full.db", make_bundle(OLD, [event(3)], [receipt], make_claims(OLD, LATER)[:2]))
    place.export("full.db", "more.tar", since, packed=packed)
    number = oracle.pith_number_of(OLD)
    expected = [
        *((number, "events", oracle.canonical(event(at))) for at in (2, 3)),
        (number, "receipts", oracle.canonical(receipt)),
        *((number, "source_aliases", oracle.canonical(one)) for one in make_claims(OLD, LATER)[:2]),
    ]
    assert Counter(expected) == place.facts("more.tar")
    assert [number] == [bundle["pith_number"] for bundle in place.bundles("more.tar")]


KINDS: dict[str, Object] = {
    "an event": {"events": [event(2)]},
    "a receipt": {"receipts": [{**make_receipt(OLD, AUTHOR), "note": "another"}]},
    "an alias claim": {"source_aliases": make_claims(OLD, LATER)[3:4]},
}


@pytest.mark.parametrize("new", KINDS.values(), ids=KINDS)
def test_one_new_fact_is_enough(grown: Grown, new: Object) -> None:
    """Of whatever kind, it is in the increment, alone."""
    place, since = grown
    place.add("full.db", make_bundle(OLD, **{"source_aliases": [], **new}))
    place.export("full.db", "more.tar", since)
    ((name, values),) = new.items()
    expected = (oracle.pith_number_of(OLD), name, oracle.canonical(values[0]))
    assert {expected: 1} == place.facts("more.tar")


def test_new_records_are_in_it_whole_and_old_ones_not_at_all(grown: Grown) -> None:
    """A record of which nothing is new is not even named."""
    place, since = grown
    place.add("full.db", make_bundle(NEW, [event(1, NEW)]), make_bundle(OTHER))
    place.export("full.db", "more.tar", since)
    place.export("full.db", "whole.tar")
    new = [one for one in place.bundles("whole.tar") if one["canonical_record"] != OLD]
    assert (2, new) == (len(new), place.bundles("more.tar"))


def test_a_new_record_without_facts_is_in_an_increment(grown: Grown) -> None:
    """A record is a fact, too: a bundle without aliases, receipts and events brings one."""
    place, since = grown
    place.add("full.db", make_bundle(NEW, alias_claims=[]))
    place.export("full.db", "more.tar", since)
    assert [NEW] == [bundle["canonical_record"] for bundle in place.bundles("more.tar")]


def test_an_increment_without_news_is_empty(grown: Grown, tmp_path: Path) -> None:
    """It is a bag that bagit accepts, and names its base."""
    place, since = grown
    place.export("full.db", "more.tar", since)
    assert ([], Counter()) == (place.bundles("more.tar"), place.facts("more.tar"))
    assert place.bag("base.tar").manifest_sha256 == place.bag("more.tar").info[BASE]
    with tarfile.open(place.path("more.tar")) as tar:
        tar.extractall(tmp_path / "bag", filter="data")
    assert bagit.Bag(str(tmp_path / "bag" / "pith")).validate()


def test_an_increment_names_its_base_by_digest_and_label(grown: Grown) -> None:
    """By the digest of its manifest, and in the base's own words."""
    place, since = grown
    place.add("full.db", make_bundle(OLD, [event(2)]), make_bundle(NEW))
    place.export("full.db", "more.tar", since)
    base, more = place.bag("base.tar"), place.bag("more.tar")
    assert (base.manifest_sha256, base.info["External-Description"]) == (
        more.info[BASE],
        more.info[BASE_HOLDS],
    )
    assert "Pith Open Graph bundles of 1 records" == more.info[BASE_HOLDS]
    assert "Pith Open Graph bundles of 2 records" == more.info["External-Description"]
    assert not {BASE, BASE_HOLDS} & base.info.keys()


def test_a_base_by_bag_or_by_root_gives_the_same_increment(place: Place) -> None:
    """What is new by content is what came since, where the base is this store's own."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    root = place.export("full.db", "base.tar").root
    place.add("full.db", make_bundle(OLD, [event(2)]), make_bundle(NEW))
    place.export("full.db", "by-bag.tar", "base.tar")
    place.export("full.db", "by-root.tar", root)
    assert place.path("by-bag.tar").read_bytes() == place.path("by-root.tar").read_bytes()


CLAIM = make_claims(OLD)[0]
TWINS: dict[str, tuple[Object, Object]] = {
    "an event, then a receipt": ({"events": [{"x": 1}]}, {"receipts": [{"x": 1}]}),
    "a receipt, then an event": ({"receipts": [{"x": 1}]}, {"events": [{"x": 1}]}),
    "an event, then a claim": (
        {"events": [list(CLAIM.values())]},
        {"source_aliases": [CLAIM]},
    ),
    "a receipt, then a claim": (
        {"receipts": [list(CLAIM.values())]},
        {"source_aliases": [CLAIM]},
    ),
}
"""What a base holds, junk mostly, and what came since."""


@pytest.mark.parametrize(("before", "after"), TWINS.values(), ids=TWINS)
def test_a_value_in_one_member_is_not_that_in_another(
    place: Place, before: Object, after: Object
) -> None:
    """Junk in a base, whoever put it there, hides nothing that came since."""
    for name, members in (("before", before), ("after", after)):
        bundle = make_bundle(OLD, **{"source_aliases": [], **members})
        place.path(name).write_bytes(to_json(bundle))
    place.merge("full.db", "before")
    place.export("full.db", "base.tar")
    place.merge("full.db", "after")
    place.export("full.db", "more.tar", "base.tar")
    ((member, (value,)),) = after.items()
    expected = (oracle.pith_number_of(OLD), member, oracle.canonical(value))
    assert {expected: 1} == place.facts("more.tar")


def test_with_ids_only_what_these_lack_is_in_it(grown: Grown) -> None:
    """The other records may have grown, too; and no root is told, since not all is written."""
    place, since = grown
    place.add("full.db", make_bundle(OLD, [event(2)]), make_bundle(NEW, [event(1, NEW)]))
    exported = place.export("full.db", "new.tar", since, record=NEW)
    assert (1, "") == (exported.records, exported.root)
    assert [NEW] == [bundle["canonical_record"] for bundle in place.bundles("new.tar")]
    place.export("full.db", "old.tar", since, record=OLD)
    expected = (oracle.pith_number_of(OLD), "events", oracle.canonical(event(2)))
    assert {expected: 1} == place.facts("old.tar")


# What a base may be --------------------------------------------------------------------------


def test_a_base_of_another_mirror_is_compared_by_its_content(place: Place) -> None:
    """A bag that this store never saw, with facts that the store lacks, and some that it has."""
    place.add("theirs.db", make_bundle(OLD, [event(1), event(2)]), make_bundle(OTHER))
    place.export("theirs.db", "base.tar")
    place.add("full.db", make_bundle(OLD, [event(2), event(3)]), make_bundle(NEW))
    place.export("full.db", "more.tar", "base.tar")
    place.export("full.db", "whole.tar")
    assert place.facts("whole.tar") - place.facts("base.tar") == place.facts("more.tar")
    assert 2 == len(place.bundles("more.tar"))


@pytest.mark.parametrize("compress", [zstandard.compress, bytes], ids=["zstd", "plain"])
def test_a_bag_by_other_tools_may_be_a_base(
    place: Place, compress: Callable[[bytes], bytes]
) -> None:
    """Of another form, name and compression; what its bundles hold counts."""
    folder = place.path("bag")
    folder.mkdir()
    (folder / "x.bundle.json").write_text(json.dumps(make_bundle(OLD, [event(1)]), indent=3))
    bagit.make_bag(str(folder), {"External-Description": "bundles\n of theirs"})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(folder, "any name")
    place.path("base.tar").write_bytes(compress(out.getvalue()))
    place.add("full.db", make_bundle(OLD, [event(1), event(2)]))
    place.export("full.db", "more.tar", "base.tar")
    assert [oracle.canonical(event(2))] == [fact for _, _, fact in place.facts("more.tar")]
    assert "bundles of theirs" == place.bag("more.tar").info[BASE_HOLDS]


def test_a_refused_bundle_counts_as_absent_from_a_base(place: Place) -> None:
    """B2: whoever merges that base lacks it, so the increment holds it."""
    good = make_bundle(OLD, [event(1)])
    files = {
        "pith/a/bundle.json": to_json({**good, "bundle_version": "2.0"}),
        "pith/b/bundle.json": b"{",
    }
    with place.path("base.tar").open("wb") as out:
        write_bag(out, files.items)
    place.add("full.db", good)
    place.export("full.db", "more.tar", "base.tar")
    place.export("full.db", "whole.tar")
    assert place.bundles("whole.tar") == place.bundles("more.tar")


def test_the_base_itself_is_not_written_over(place: Place) -> None:
    """Nobody could fit the increment to anything then; it stays as it was, by whatever name."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    place.export("full.db", "base.tar")
    before = place.path("base.tar").read_bytes()
    place.path("link.tar").symlink_to("base.tar")
    for since, out in (
        ("base.tar", "base.tar"),
        ("link.tar", "base.tar"),
        ("base.tar", "link.tar"),
    ):
        with pytest.raises(OutputError) as caught:
            place.export("full.db", out, since)
        assert "output.refused" == caught.value.code
    assert before == place.path("base.tar").read_bytes()


def without_end(tar: bytes) -> bytes:
    """A tar without the blocks of zeros that end it."""
    size = len(tar.rstrip(b"\0"))
    return tar[: size + -size % 512]


def in_another_folder(bag: bytes) -> bytes:
    """The same bag in another folder."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(bag)) as tar,
        tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as other,
    ):
        for info in tar:
            file = tar.extractfile(info)
            info.name = f"other/{info.name}"
            other.addfile(info, file)
    return out.getvalue()


BAD_BASES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda bag: bag[:3000],
    "without its end mark": without_end,
    "flipped": lambda bag: bag.replace(b'"bundle_version"', b'"bundle_versiom"'),
    "a bundle": lambda _bag: to_json(make_bundle(OLD)),
    "nothing": lambda _bag: b"",
    "two bags": lambda bag: without_end(bag) + in_another_folder(bag),
}


@pytest.mark.parametrize("damage", BAD_BASES.values(), ids=BAD_BASES)
def test_an_incomplete_bag_is_refused_as_a_base(
    place: Place, damage: Callable[[bytes], bytes]
) -> None:
    """Nobody could name it; nothing is written."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    place.export("full.db", "base.tar")
    place.path("base.tar").write_bytes(damage(place.path("base.tar").read_bytes()))
    with pytest.raises(SourceError) as caught:
        place.export("full.db", "more.tar", "base.tar")
    assert "export.base" == caught.value.code
    assert not place.path("more.tar").exists()


# Roots ---------------------------------------------------------------------------------------


def test_a_root_is_known_where_it_was_exported_and_nowhere_else(place: Place) -> None:
    """Another store of the same facts has the same root, and never wrote that bag."""
    place.add("one.db", make_bundle(OLD, [event(1)]))
    place.add("two.db", make_bundle(OLD, [event(1)]))
    root = place.export("one.db", "base.tar").root
    with pytest.raises(LookUpError) as caught:
        place.export("two.db", "more.tar", root)
    assert "export.root_unknown" == caught.value.code
    assert root == place.export("two.db", "base.tar").root
    assert 0 == place.export("two.db", "more.tar", root).records


def test_each_root_stands_for_what_was_there_when_it_was_exported(place: Place) -> None:
    """However much was added since, and whichever of several roots is named."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    roots = [place.export("full.db", "0.tar").root]
    for number in (2, 3, 4):
        place.add("full.db", make_bundle(OLD, [event(number)]))
        roots.append(place.export("full.db", f"{number}.tar").root)
    assert 4 == len({*roots})
    for at, root in enumerate(roots):
        place.export("full.db", "more.tar", root)
        values = {fact for _, _, fact in place.facts("more.tar")}
        assert {oracle.canonical(event(number)) for number in range(at + 2, 5)} == values


def test_a_root_of_two_bags_names_the_first(place: Place) -> None:
    """M12: junk and alias claims change no core digest, so the increment holds them still."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    first = place.export("full.db", "first.tar")
    place.add("full.db", make_bundle(OLD, alias_claims=make_claims(OLD, LATER)))
    second = place.export("full.db", "second.tar")
    assert first.root == second.root
    assert first.manifest != second.manifest
    place.export("full.db", "more.tar", first.root)
    assert first.manifest == place.bag("more.tar").info[BASE]
    assert len(make_claims(OLD)) == place.facts("more.tar").total()


def test_a_bag_of_some_records_has_no_root(place: Place) -> None:
    """Only what holds all that a store held can be named by the root of its states."""
    place.add("full.db", make_bundle(OLD), make_bundle(NEW))
    assert "" == place.export("full.db", "old.tar", record=OLD).root
    assert "" != place.export("full.db", "all.tar").root


def test_other_keys_are_another_root_of_the_same_facts(place: Place) -> None:
    """K3: a root names states; what is new is a question of facts."""
    place.path("a.json").write_bytes(to_json(make_bundle(OLD, [event(1)])))
    place.merge_fully("full.db", "a.json", trusting=NOBODY)
    before = place.export("full.db", "before.tar")
    place.merge("full.db", "a.json")
    after = place.export("full.db", "after.tar")
    assert before.root != after.root
    assert before.manifest == after.manifest
    for root in (before.root, after.root):
        assert 0 == place.export("full.db", "more.tar", root).records


# Merging -------------------------------------------------------------------------------------


def grown_by_three(
    place: Place, *, packed: Sequence[bool] = (False,) * 4, by_root: bool = True
) -> list[str]:
    """A store in `full.db`, its first bag and three increments, each on the one before."""
    bags: list[str] = []
    since: str | None = None
    for at, is_packed in enumerate(packed):
        claims = make_claims(OLD, f"202{at}-01-01T00:00:00Z")
        news = [make_bundle(OLD, [event(at)], alias_claims=claims)]
        if at in {1, 3}:
            news.append(make_bundle(NEW, [event(at, NEW)], [make_receipt(NEW, AUTHOR)]))
        place.add("full.db", *news)
        exported = place.export("full.db", f"{at}.tar", since, packed=is_packed)
        since = exported.root if by_root else f"{at}.tar"
        bags.append(f"{at}.tar")
    return bags


@pytest.mark.parametrize("by_root", [False, True], ids=["by bag", "by root"])
@pytest.mark.parametrize(
    "packed",
    [[False] * 4, [True] * 4, [False, True, True, False]],
    ids=["plain", "packed", "mixed"],
)
def test_a_chain_of_increments_in_any_order_gives_all_facts(
    place: Place, packed: list[bool], *, by_root: bool
) -> None:
    """Bag by bag or in one command, forwards, backwards or anyhow: the same facts."""
    bags = grown_by_three(place, packed=packed, by_root=by_root)
    expected = place.content("full.db")
    for seed in range(2):
        order = random.Random(seed).sample(bags, k=len(bags))
        for bag in order:
            place.merge(f"{seed}.db", bag)
        assert expected == place.content(f"{seed}.db")
        place.merge(f"{seed}-at-once.db", *order)
        assert expected == place.content(f"{seed}-at-once.db")


def test_no_fact_is_in_two_bags_of_a_chain_by_roots(place: Place) -> None:
    """Together they hold what one bag of all would hold, each fact once."""
    bags = grown_by_three(place)
    place.export("full.db", "whole.tar")
    facts = sum((place.facts(bag) for bag in bags), Counter[Fact]())
    assert place.facts("whole.tar") == facts
    assert {1} == {*facts.values()}


def test_an_increment_as_a_base_is_just_what_is_in_it(place: Place) -> None:
    """Named as a bag, it is not asked what it rests on: all that it lacks is new."""
    bags = grown_by_three(place)
    place.export("full.db", "more.tar", bags[1])
    place.export("full.db", "whole.tar")
    assert place.facts("whole.tar") - place.facts(bags[1]) == place.facts("more.tar")
    assert place.facts(bags[0]) <= place.facts("more.tar")


def test_in_one_command_no_base_is_missing(place: Place) -> None:
    """In whatever order the sources are named."""
    bags = grown_by_three(place)
    assert [] == place.merge("forwards.db", *bags)
    assert [] == place.merge("backwards.db", *reversed(bags))


def test_a_missing_base_is_reported_until_it_is_merged(place: Place) -> None:
    """`archive.base`, exit 1; what is in the increment is merged nevertheless."""
    bags = grown_by_three(place)
    for _ in range(2):
        summary, reports = place.merge_fully("mirror.db", bags[1])
        assert [("bag-info.txt", "archive.base")] == [(one.member, one.code) for one in reports]
        assert place.bag(bags[0]).manifest_sha256 in reports[0].message
        assert (1, {"archive.base": 1}) == (exit_codes.of_summary(summary), summary.warnings)
        assert 2 == summary.bundles_read
    summary, reports = place.merge_fully("mirror.db", bags[0])
    assert (0, []) == (exit_codes.of_summary(summary), reports)
    summary, reports = place.merge_fully("mirror.db", bags[1])
    assert (0, [], 2) == (exit_codes.of_summary(summary), reports, summary.bundles_read)


def test_an_increment_is_complete_only_with_all_its_bases(place: Place) -> None:
    """A chain that lacks a link is told of at every bag behind it, until the link comes."""
    first, second, third, fourth = grown_by_three(place)
    assert [] == place.merge("mirror.db", first)
    assert ["archive.base"] == place.merge("mirror.db", third)
    assert ["archive.base"] == place.merge("mirror.db", fourth)
    assert [] == place.merge("mirror.db", second)
    assert ["archive.base"] == place.merge("mirror.db", fourth)
    assert [] == place.merge("mirror.db", third)
    assert [] == place.merge("mirror.db", fourth)


def test_a_bag_without_news_is_no_link_of_a_chain(place: Place) -> None:
    """The root is the same as before, and so is the bag that it names."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    root = place.export("full.db", "0.tar").root
    assert root == place.export("full.db", "1.tar", root).root
    place.add("full.db", make_bundle(OLD, [event(2)]))
    place.export("full.db", "2.tar", root)
    assert place.bag("0.tar").manifest_sha256 == place.bag("2.tar").info[BASE]
    assert [] == place.merge("mirror.db", "0.tar", "2.tar")
    assert place.content("full.db") == place.content("mirror.db")


def test_a_bag_without_news_counts_as_one_that_was_merged(place: Place) -> None:
    """Whoever names it as a base, by its file, rests on it."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    place.export("full.db", "0.tar")
    place.export("full.db", "1.tar", "0.tar")
    place.export("full.db", "2.tar", "1.tar")
    assert place.bag("1.tar").manifest_sha256 == place.bag("2.tar").info[BASE]
    place.merge("mirror.db", "0.tar")
    assert ["archive.base"] == place.merge("mirror.db", "2.tar")
    place.merge("mirror.db", "1.tar")
    assert [] == place.merge("mirror.db", "2.tar")


def test_the_exporting_store_has_the_bag(place: Place) -> None:
    """An increment that comes back finds its base where that was made."""
    bags = grown_by_three(place)
    assert [] == place.merge("full.db", *bags[1:])


def test_a_base_may_come_in_any_compression(place: Place) -> None:
    """A bag is named by its manifest, not by the file that holds it."""
    bags = grown_by_three(place)
    place.path("base").write_bytes(zstandard.compress(place.path(bags[0]).read_bytes()))
    assert [] == place.merge("mirror.db", "base", bags[1])


def test_a_base_of_the_same_bundles_in_another_form_is_another_bag(place: Place) -> None:
    """Nobody can see from outside that they are the same; and it is only told of."""
    place.add("full.db", make_bundle(OLD, [event(1)]))
    place.export("full.db", "plain.tar")
    place.export("full.db", "packed.tar", packed=True)
    place.add("full.db", make_bundle(OLD, [event(2)]))
    place.export("full.db", "more.tar", "plain.tar")
    assert ["archive.base"] == place.merge("mirror.db", "packed.tar", "more.tar")
    assert place.content("full.db") == place.content("mirror.db")


@pytest.mark.parametrize(
    "damage",
    [lambda bag: bag[:-11_000], lambda bag: bag.replace(b'"events"', b'"Events"')],
    ids=["cut", "flipped"],
)
def test_a_base_that_was_not_read_whole_is_missing(
    place: Place, damage: Callable[[bytes], bytes]
) -> None:
    """C5: of a damaged bag, only some was merged."""
    bags = grown_by_three(place)
    place.path("damaged.tar").write_bytes(damage(place.path(bags[0]).read_bytes()))
    assert [] != place.merge("mirror.db", "damaged.tar")
    assert ["archive.base"] == place.merge("mirror.db", bags[1])


def test_a_base_with_an_invalid_bundle_counts_as_merged(place: Place) -> None:
    """B2: of such a bundle nothing is merged anywhere, so nothing of it is missing here."""
    files = {"a/bundle.json": to_json(make_bundle(OLD, [event(1)])), "b/bundle.json": b"{"}
    with place.path("base.tar").open("wb") as out:
        write_bag(out, files.items)
    place.add("full.db", make_bundle(OLD, [event(1), event(2)]))
    place.export("full.db", "more.tar", "base.tar")
    assert ["json.syntax"] == place.merge("mirror.db", "base.tar")
    assert [] == place.merge("mirror.db", "more.tar")
    assert place.content("full.db") == place.content("mirror.db")


LIMITS = {
    "--max-member": ReadLimits(member_bytes=100),
    "--max-values": ReadLimits(values=9),
    "--max-events": ReadLimits(events=1),
    "--max-seconds": ReadLimits(bundle_s=1e-9),
}


@pytest.mark.usefixtures("python_engine")  # the native engine is done before time is over
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_a_base_whose_bundles_were_refused_by_a_limit_is_missing(
    place: Place, limits: ReadLimits
) -> None:
    """B4: what this mirror would not take is no part of what it has."""
    bags = grown_by_three(place)
    (code,) = place.merge("mirror.db", bags[0], limits=limits)
    assert code in {"limit.size", "limit.count", "limit.time"}
    assert ["archive.base"] == place.merge("mirror.db", bags[1])


def test_a_base_of_which_a_quota_left_something_out_is_missing(place: Place) -> None:
    """B4: nor is what the quota of a record left out."""
    place.path("junk.jsonl").write_bytes(to_json(make_bundle(OLD, [1, 2, 3], alias_claims=[])))
    place.merge("full.db", "junk.jsonl")
    place.export("full.db", "base.tar")
    place.path("news.jsonl").write_bytes(to_json(make_bundle(OLD, [event(1)], alias_claims=[])))
    place.merge("full.db", "news.jsonl")
    place.export("full.db", "increment.tar", "base.tar")
    for quota, codes in ((3, []), (2, ["archive.base"])):
        limits, store = ReadLimits(kept_invalid=quota), f"{quota}.db"
        assert (quota < 3) == ("store.quota" in place.merge(store, "base.tar", limits=limits))
        assert codes == place.merge(store, "increment.tar")


def test_a_base_of_which_facts_were_lost_is_missing(place: Place) -> None:
    """After `check --repair` nobody knows whether all of it is there still."""
    bags = grown_by_three(place)
    assert [] == place.merge("mirror.db", *bags[:2])
    with open_store(place.path("mirror.db")) as store, store.transaction():
        store.connection.execute("UPDATE arrival SET content = x'00' WHERE id = 1")
    report = check_and_repair(
        place.path("mirror.db"), CheckScope(), lambda _damage: None, lambda _records: None
    )
    assert (True, 1) == (report.is_repaired, len(report.need_bundles))
    assert ["archive.base"] == place.merge("mirror.db", bags[1])
    assert [] == place.merge("mirror.db", bags[0])
    assert [] == place.merge("mirror.db", *bags)
    assert place.content("full.db") == place.content("mirror.db")


@pytest.mark.parametrize("named", ["x", "0" * 63, "0" * 64, "A" * 64])
def test_a_base_with_an_invalid_label_is_missing(place: Place, named: str) -> None:
    """A label may say anything; what it says is shown."""
    files = {"pith/a/bundle.json": to_json(make_bundle(OLD))}
    with place.path("more.tar").open("wb") as out:
        write_bag(out, files.items, [(BASE, named)])
    _, reports = place.merge_fully("mirror.db", "more.tar")
    assert ["archive.base"] == [report.code for report in reports]
    assert named in reports[0].message


def test_a_store_in_memory_has_the_bases_of_the_same_run(place: Place) -> None:
    """Nothing else is there to ask."""
    bags = grown_by_three(place)

    def codes(names: Iterable[str]) -> list[str]:
        reports: list[Finding] = []
        with open_store(None) as store:
            add_keys(store, KEYS)
            ingest(store, ReadRequest([str(place.path(name)) for name in names], reports.append))
        return [report.code for report in reports]

    assert [] == codes(bags)
    assert [] == codes(reversed(bags))
    assert ["archive.base"] * 3 == codes(bags[1:])


# Any history ---------------------------------------------------------------------------------


def random_bundles(chance: random.Random) -> list[Any]:
    """Bundles of three records with some of a few facts each, faulty ones among them."""
    bundles = []
    for record in chance.sample([OLD, NEW, OTHER], k=chance.randrange(1, 4)):
        events: list[Any] = [event(number, record) for number in range(5)]
        events += [
            make_event(record, AUTHOR, "challenge_filed", challenge(str(number)))
            for number in range(2)
        ]
        events += [1, "junk", {"event": 1.5}, {**events[0], "signature": {}}]
        receipts: list[Any] = [make_receipt(record, AUTHOR, at) for at in (NOON, LATER)]
        receipts += [None, "no receipt", {"kind": "pith_receipt"}]
        claims = [*make_claims(record), *make_claims(record, LATER)]
        picked = [
            chance.sample(facts, k=chance.randrange(min(4, len(facts))))
            for facts in (events, receipts, claims[1:])
        ]
        # A claim that is always there: a record that nothing is said of has a test of its own.
        bundles.append(make_bundle(record, picked[0], picked[1], [claims[0], *picked[2]]))
    return bundles


@pytest.mark.parametrize("seed", range(8))
def test_any_increments_in_any_order_give_all_facts(place: Place, seed: int) -> None:
    """Base by bag or root, plain or packed, merged in any order: the same bytes.

    One store trusts the author and the other nobody, which makes no difference to facts.
    """
    chance = random.Random(seed)
    bags: list[str] = []
    since: str | None = None
    for at in range(4):
        lines = [to_json(bundle) for bundle in random_bundles(chance)]
        place.path("news.jsonl").write_bytes(b"\n".join(lines))
        place.merge("full.db", "news.jsonl")
        exported = place.export("full.db", f"{at}.tar", since, packed=chance.random() < 0.5)
        bags.append(f"{at}.tar")
        by_root = chance.random() < 0.5 and exported.root
        since = exported.root if by_root else f"{at}.tar"
    place.export("full.db", "whole.tar")
    whole = place.facts("whole.tar")
    assert {*whole} == {*sum((place.facts(bag) for bag in bags), Counter[Fact]())}
    chance.shuffle(bags)
    for bag in bags:
        place.merge_fully("mirror.db", bag, trusting=NOBODY)
    assert place.content("full.db") == place.content("mirror.db")
