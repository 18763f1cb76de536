"""What `/openapi.json` says is so: schemathesis asks for everything, and holds answers to it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote

import httpx
import pytest
import requests
import schemathesis
import zstandard
from hypothesis import settings
from schemathesis import APIOperation, BaseSchema, Case, HookContext, Response
from schemathesis.checks import not_a_server_error
from schemathesis.errors import FailureGroup
from schemathesis.generation.hypothesis import builder
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.routing import Route

from mirror.core.events.checks import EVENT_CODES
from mirror.core.events.types import EVENT_TYPES, OTHER_EVENTS, EventType
from mirror.core.record import PITH_NUMBER_PATTERN
from mirror.core.rules import MERGE_VERSION
from mirror.core.values import DIGEST_PATTERN
from mirror.core.verification_status import MAX_SIGNERS
from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.search.citations import MAX_WORKS
from mirror.engine.transparency.tree_nodes import MAX_LEAVES
from mirror.errors import StoreError
from mirror.web import ServerSettings, create_app
from mirror.web.citations import MAX_EVENTS
from mirror.web.endpoint import Endpoint
from mirror.web.mirror_api import MAX_CHANGES, MAX_IDS
from mirror.web.openapi import description
from mirror.web.pages.handlers import MAX_HITS, MAX_START
from mirror.web.pages.labels import RELATIONSHIPS
from mirror.web.registry_api import MAX_ANCHORS
from mirror.web.store_pool import StorePool
from mirror.web.timemaps import MAX_MEMENTOS
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import BUNDLES, Serve, run_mirror
from tests.web.hostile import hostile_store

Raw: TypeAlias = dict[str, Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
Asked: TypeAlias = Case[Any]

SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"
SEVERAL = "2401.00001"
NOBODY = "AAAAAAAA"
NAMES = (SUFFIX, SUFFIX[:8], SUFFIX.lower(), f"pith:2017:{SUFFIX}", "1705.09786v3",
         "5TZFM4EUWT5IWIQL3RIO3VIRXC", "EJWVFYLW", "NQGOSQWC", "OKB6R5PP", "RFAEN2TO", "JCCOAP2X",
         NOBODY, "\x00", "é\u202e", "x.json", "a b?c#d%", "A" * 2000)  # fmt: skip
"""Of a record of which little is known, of those with much to them, and of none."""
HEADERS = {
    "Accept": ("text/html", "application/ld+json", "application/json", "*/*",
               "application/ld+json, text/html", "text/html, application/ld+json", ",;q=\xe9",
               "application/x-bibtex", "application/x-research-info-systems, */*;q=0.1",
               "application/vnd.citationstyles.csl+json"),
    "Accept-Encoding": ("gzip", "zstd", "identity", "gzip;q=0, zstd;q=0.5, *", "br"),
    "If-None-Match": ("*", '"other"', 'W/"other", *', "no tag"),
    "Accept-Datetime": ("Mon, 01 Jan 2035 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "now"),
    "If-Modified-Since": ("Mon, 01 Jan 2035 00:00:00 GMT", "Mon, 01 Jan 2001 00:00:00 GMT", "now",
                          "Mon, 01 Jan 99999999999 00:00:00 GMT"),
}  # fmt: skip
"""What the server reads, and some values of each."""
FORMS = ("text/html", "application/ld+json")
LABELS = [
    f"{method.upper()} {path}"
    for path, item in description()["paths"].items()
    for method in item
    if method != "parameters"
]
"""All operations."""


@schemathesis.deserializer(
    "text/html",
    "text/plain",
    "text/x-tex",
    "image/svg+xml",
    "application/xml",
    "application/atom+xml",
    "application/opensearchdescription+xml",
    "application/linkset",
    "application/x-bibtex",
    "application/x-research-info-systems",
    "text/xml",
)
def _text(_context: object, response: Response) -> str:
    """Text has schemas, too."""
    text: str = response.content.decode()
    return text


@cache
def _fetched(site: str) -> str:
    return httpx.get(f"{site}/openapi.json").text


def _described(site: str, change: Callable[[Raw], object] = lambda _raw: None) -> BaseSchema:
    """The description that a server gives, after a change."""
    raw = json.loads(_fetched(site))
    change(raw)
    schema = schemathesis.openapi.from_dict(raw, config=schemathesis.Config(seed=1))
    schema.config.update(base_url=site)
    return schema


def _operations(schema: BaseSchema) -> Iterator[Operation]:
    for path, item in schema.raw_schema["paths"].items():
        yield from (schema[path][method] for method in item if method != "parameters")


def _statuses(operation: Operation) -> set[str]:
    return set(operation.responses.status_codes)


def _forms(operation: Operation) -> tuple[str, ...]:
    """The values of Accept between which an operation chooses; one, if it has no choice."""
    has_choice = len(operation.definition.raw["responses"].get("200", {}).get("content", ())) > 1
    return FORMS if has_choice or "300" in _statuses(operation) else FORMS[:1]


def _takes_name(path: str) -> bool:
    return "{" in path or path in {"/oai", "/find"} or path.endswith(".tar")


def _named(path: str, name: str) -> str:
    """A name as these paths take it, which are not asked for by Pith Number."""
    if path.startswith("/static"):
        return "style.css" if name == SUFFIX else name
    if path.startswith("/feeds"):
        return quote(name, safe="")
    arxiv = {SUFFIX: "1705.09786v3"}.get(name, name)
    return f"10.48550/arxiv.{arxiv}" if path.startswith("/doi") else arxiv


@cache
def _last_second(site: str, name: str) -> str:
    """The last second at which a record changed; of a name without a record, any second."""
    address = f"{site}/pith/{quote(name, safe='')}/timemap"
    answer = httpx.get(address, headers={"Accept": "application/json"})
    last = (
        answer.json()["mementos"]["last"]["uri"] if answer.status_code == 200 else "20300101000000"
    )
    return str(last[-14:])


def _naming(case: Asked, name: str, headers: Mapping[str, str] | None = None) -> Asked:
    """The same request for the record of a name, where it is for one."""
    if "{suffix}" in case.path:
        case.path_parameters["suffix"] = quote(name, safe="")  # `?` would end the path
        if "{time}" in case.path:
            case.path_parameters["time"] = _last_second(case.operation.base_url, name)
        elif case.path.endswith("/at"):
            case.query["date"] = "2100-01-01"
    elif "{prefix}" in case.path:
        case.path_parameters["prefix"] = "0" if name != NOBODY else "X"
    elif "{part}" in case.path:
        case.path_parameters["part"] = 1 if name != NOBODY else 99
    elif "{name}" in case.path:
        case.path_parameters["name"] = _named(case.path, name)
    elif case.path == "/oai":
        number = name if ":" in name else f"pith:2017:{name}"
        arguments = {"verb": "GetRecord", "identifier": number, "metadataPrefix": "pith_state"}
        if case.method == "POST":
            _put_form(case, arguments)
        else:
            case.query.update(arguments)
    elif case.path == "/find":
        case.query["q"] = name
    elif case.path.endswith(".tar"):
        case.query["id"] = [name]
    case.headers.update(headers or {})
    return case


def _put_form(case: Asked, arguments: Mapping[str, str]) -> None:
    case.body, case.media_type = {**arguments}, "application/x-www-form-urlencoded"


@cache
def _session() -> requests.Session:
    """Connections that are used again; the environment has no say in what is sent."""
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    return session


def _answer(case: Asked, *excluded: Any) -> Response:
    """Return the answer, which must be as described in all but the excluded checks."""
    return case.call_and_validate(session=_session(), excluded_checks=[*excluded])


# What is asked -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def described(site: str) -> BaseSchema:
    """The description of the sample mirror."""
    schema = _described(site)

    def after_call(_context: HookContext, _case: Asked, response: Response) -> None:
        if response.content.startswith(zstandard.FRAME_HEADER):  # the client knows gzip only
            response.content = zstandard.ZstdDecompressor().decompress(response.content)

    schema.hook(after_call)
    return schema


_DATETIME = description()["components"]["parameters"]["Accept-Datetime"]["schema"]["pattern"]


def _hold(case: Asked) -> None:
    asked = case.headers.get("Accept-Datetime")
    # Some combinations of optional headers that schemathesis calls valid have one that is not.
    is_wrong = asked is not None and re.search(_DATETIME, asked) is None
    excluded = [positive_data_acceptance] if is_wrong else []
    if case.path == "/oai":
        excluded.append(negative_data_rejection)  # an error of OAI-PMH has the status 200
    _answer(case, *excluded)


@pytest.mark.parametrize("label", LABELS)
def test_every_answer_is_as_described(label: str, described: BaseSchema) -> None:
    """Whatever is made up from the description, right or wrong, and any other method.

    HEAD takes the same way as GET, so it is asked for a few random values only.
    """
    # As `parametrize` of schemathesis does, which gives all operations one name in the report.
    method, path = label.split()
    is_head = method == "HEAD"
    random_values = [builder.HypothesisTestMode.FUZZING]
    modes = random_values if is_head else list(builder.HypothesisTestMode)
    most = settings().max_examples
    limits = settings(
        max_examples=most // 15 if is_head else most // 10,
        derandomize=True,
        database=None,
        deadline=None,
    )
    config = builder.HypothesisTestConfig(described.config, modes, explicit_settings=limits)
    builder.create_test(operation=described[path][method], test_func=_hold, config=config)()


@pytest.mark.parametrize("label", LABELS)
def test_every_name_is_answered_as_described(label: str, described: BaseSchema) -> None:
    """Some names, known or not, with headers that choose and compare."""
    method, path = label.split()
    chance = random.Random(label)
    is_varied = method == "GET" and _takes_name(path)
    for name in (SUFFIX, *chance.sample(NAMES[1:], 11 if is_varied else 5)):
        some = chance.sample(sorted(HEADERS), chance.randint(0, len(HEADERS)))
        headers = {header: chance.choice(HEADERS[header]) for header in some}
        _hold(_naming(described[path][method].Case(), name, headers))


def test_not_modified_is_answered_as_described(site: str) -> None:
    """304 for the very tag or time that came before."""
    for operation in _operations(_described(site)):
        for form in _forms(operation) if "304" in _statuses(operation) else ():
            first = _answer(_naming(operation.Case(), SUFFIX, {"Accept": form}))
            for asked, told in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
                for value in first.headers.get(told, ()):
                    headers = {"Accept": form, asked: value}
                    again = _answer(_naming(operation.Case(), SUFFIX, headers))
                    assert again.status_code == 304, (operation.label, headers)


# Odd records ---------------------------------------------------------------------------------

CODES = ("bundle.alias", "event.id", "event.key_unknown", "event.payload", "event.shape",
         "event.subject", "event.time", "receipt.shape", "receipt.signature")  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The base URL of a mirror of what nobody likes to get, and of two versions of a paper.

    It does not trust the registry's key.
    """
    folder = tmp_path_factory.mktemp("odd")
    store, _ = hostile_store(folder)
    versions = [make_bundle(make_record(arxiv_id=SEVERAL, version=one)) for one in (1, 2)]
    (folder / "two.jsonl").write_bytes(b"\n".join(map(to_json, versions)))
    invalid = [BUNDLES / "invalid" / f"{code}.json" for code in CODES]
    assert run_mirror("merge", folder / "two.jsonl", *invalid, "--db", store) == 1
    assert run_mirror("keys", "remove", "pith-v1-2026-05", "--db", store) == 0
    key = folder / "mirror.key"
    assert run_mirror("keys", "new", key, "--name", "odd.example") == 0
    assert run_mirror("checkpoint", "sign", "--key", key, "--db", store) == 0
    return serve(store)


def test_hostile_and_invalid_records_are_answered_as_described(odd: str) -> None:
    """Hostile strings, invalid events, refused receipts; HEAD is asked of one record."""
    changes = httpx.get(f"{odd}/mirror/changes").json()["changes"]
    names = sorted({change["pith_number"][-26:] for change in changes})
    for operation in _operations(_described(odd)):
        has_many = operation.method == "get" and _takes_name(operation.path)
        for name in (*names, SEVERAL) if has_many else names[:1]:
            for form in _forms(operation):
                _answer(_naming(operation.Case(), name, {"Accept": form}))


# What is described ---------------------------------------------------------------------------


def test_the_description_is_openapi(site: str) -> None:
    """OpenAPI 3.1; every reference resolves, and every component is referenced."""
    schema = _described(site)
    schema.validate()
    assert description() == schema.raw_schema
    parts = {
        f"#/components/{kind}/{name}"
        for kind, named in schema.raw_schema["components"].items()
        for name in named
    }
    assert parts == set(re.findall(r"#/components/[\w/-]+", _fetched(site)))


def test_every_path_of_the_server_is_described(tmp_path: Path) -> None:
    """And no other; each operation has a name of its own."""
    routes = create_app(ServerSettings(store=tmp_path / "mirror.db")).routes
    served = [re.sub(r"\{\w+:path\}", "{name}", cast("Route", route).path) for route in routes]
    paths = description()["paths"]
    assert sorted(served) == sorted(paths)
    ids = [paths[path][method]["operationId"] for path in paths for method in ("get", "head")]
    assert len(set(ids)) == len(ids)


SCHEMAS = description()["components"]["schemas"]


def test_the_events_of_a_state_are_those_of_the_table() -> None:
    """A list for each event type that has one, with its target and the members of its payload."""
    listed = {str(kind.shown_in): kind for kind in EVENT_TYPES.values() if kind.shown_in}
    properties = SCHEMAS["CurrentState"]["properties"]
    outside = {"canonical_record", "source_aliases", "receipt", OTHER_EVENTS}
    assert properties.keys() - outside == listed.keys()
    for name, kind in listed.items():
        _hold_entry(properties[name]["items"]["properties"], kind)
    equivocation = SCHEMAS["Equivocation"]["properties"]
    assert equivocation["event_type"] == {"enum": [*EVENT_TYPES]}


def _hold_entry(entry: Raw, kind: EventType) -> None:
    assert entry["target"] == {"const": kind.target}
    payload = entry["payload"]
    assert payload["required"] == [*kind.members]
    assert payload["properties"].keys() == {*kind.members, *kind.optional}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("EventCode/enum", [*EVENT_CODES]),
        ("CitationEvents/items/properties/relationship/enum", [*RELATIONSHIPS]),
        ("Digest/pattern", f"^{DIGEST_PATTERN}$"),
        ("EventId/pattern", f"^sha256:{DIGEST_PATTERN}$"),
        ("PithNumber/pattern", f"^{PITH_NUMBER_PATTERN}$"),
        ("State/properties/merge_version/const", MERGE_VERSION),
        ("Manifest/properties/merge_version/const", MERGE_VERSION),
        ("About/properties/merge_version/const", MERGE_VERSION),
        ("ClaimCounts/properties/by/maxItems", MAX_SIGNERS),
        ("Citations/properties/cites/properties/works/maxItems", MAX_WORKS),
        ("Citations/properties/cited_by/properties/works/maxItems", MAX_WORKS),
        ("Citations/properties/references/properties/works/maxItems", MAX_WORKS),
        ("CitationEvents/maxItems", MAX_EVENTS),
        ("Anchors/maxItems", MAX_ANCHORS),
        ("Anchor/properties/status/enum", [*AnchorStatus]),
        ("Changes/properties/changes/maxItems", MAX_CHANGES),
        ("Found/properties/hits/maxItems", MAX_HITS),
        ("TreeNode/properties/leaves/maxItems", MAX_LEAVES),
        ("TimeMap/properties/mementos/properties/list/maxItems", MAX_MEMENTOS),
    ],
)
def test_the_schemas_follow_the_code(place: str, value: object) -> None:
    """Patterns, codes, versions and limits that the code fixes."""
    found = SCHEMAS
    for step in place.split("/"):
        found = found[step]
    assert found == value


def test_the_parameters_follow_the_code() -> None:
    """The limits of query parameters."""
    asked = {
        (path, parameter["name"]): parameter["schema"]
        for path, item in description()["paths"].items()
        for parameter in item["parameters"]
        if parameter.get("in") == "query"
    }
    assert asked["/mirror/changes", "limit"]["maximum"] == MAX_CHANGES
    assert asked["/mirror/changes", "limit"]["default"] == MAX_CHANGES
    assert asked["/mirror/bundle.tar", "id"]["maxItems"] == MAX_IDS
    assert asked["/find", "start"]["maximum"] == MAX_START


def test_every_status_of_the_description_is_met(site: str, odd: str) -> None:
    """No answer is described that is never given; of 500 and 503 more below."""
    pairs = zip(_operations(_described(site)), _operations(_described(odd)), strict=True)
    for mine, theirs in pairs:
        known = {"If-None-Match": "*"}
        cases = [_naming(mine.Case(), SUFFIX), _naming(mine.Case(), SUFFIX, known)]
        cases += [_naming(mine.Case(), NOBODY), _naming(theirs.Case(), SEVERAL)]
        cases.append(_naming(theirs.Case(), SEVERAL, known))
        if "302" in _statuses(mine):
            future = {"Accept-Datetime": "Mon, 01 Jan 2035 00:00:00 GMT"}
            cases.append(_naming(mine.Case(), SUFFIX, future))
            if "{time}" in mine.path:
                cases[-1].path_parameters["time"] = "20350101000000"
        if "400" in _statuses(mine):
            wrong = {
                "limit": "x",
                "id": [NOBODY] * 1001,
                "start": "501",
                "after": "x",
                "before": "x",
                "date": "x",
            }
            places = {"prefix": "X", "suffix": SUFFIX, "time": "x", "name": "x"}
            headers = {"Accept-Datetime": "now"}
            cases.append(mine.Case(query=wrong, path_parameters=places, headers=headers))
            if mine.method == "post":
                _put_form(cases[-1], {"verb": "x" * 20_000})
        missing = _statuses(mine) - {"500", "503"}
        while missing and cases:  # that no other status comes is what `_answer` holds
            missing.discard(str(_answer(cases.pop()).status_code))
        assert not missing, mine.label


def _fail(*_arguments: object) -> None:
    raise StoreError("store.unreadable", "the store cannot be read now")


async def _break(*_arguments: object) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("broken", "status"),
    [((StorePool, "_reopen", _fail), "503"), ((Endpoint, "__call__", _break), "500")],
)
def test_server_errors_are_answered_as_described(
    broken: tuple[type, str, object], status: str, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 by whatever reads the store, 500 by everything."""
    schema = _described(site)
    monkeypatch.setattr(*broken)
    for operation in _operations(schema):
        for form in FORMS if operation.method == "get" else FORMS[:1]:
            case = _naming(operation.Case(), SUFFIX, {"Accept": form})
            answer = _answer(case, not_a_server_error)
            assert (status in _statuses(operation)) == (str(answer.status_code) == status)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused_as_described(method: str, site: str) -> None:
    """405, as if each path said so of this method."""
    refused = {"responses": {"405": {"$ref": "#/components/responses/405"}}}

    def describe(raw: Raw) -> None:
        for item in raw["paths"].values():
            if method not in item:
                item[method] = refused

    for operation in _operations(_described(site, describe)):
        is_refused = operation.method == method and _statuses(operation) == {"405"}
        for form in (FORMS if method == "put" else FORMS[:1]) if is_refused else ():
            _answer(_naming(operation.Case(), SUFFIX, {"Accept": form}))


# Lies ----------------------------------------------------------------------------------------

STATE = "/pith/{suffix}/state.json"


def _ok(raw: Raw) -> Any:
    return raw["paths"][STATE]["get"]["responses"]["200"]


def _state(raw: Raw) -> Any:
    return raw["components"]["schemas"]["State"]


def _forget_a_member(raw: Raw) -> None:
    _state(raw)["required"].remove("retired_events")
    del _state(raw)["properties"]["retired_events"]


@pytest.mark.parametrize(
    "lie",
    [
        lambda raw: raw["paths"][STATE]["get"]["responses"].pop("200"),
        lambda raw: _ok(raw).update(content={"text/csv": {}}),
        lambda raw: _ok(raw)["headers"].update({"X-Nothing": {"required": True, "schema": {}}}),
        lambda raw: raw["components"]["headers"]["ETag"]["schema"].update(pattern='^W/"'),
        lambda raw: _state(raw)["required"].append("nothing"),
        _forget_a_member,
        lambda raw: _state(raw)["properties"].update(event_count={"type": "string"}),
        lambda raw: raw["components"]["schemas"]["PithNumber"].update(pattern="^doi:"),
    ],
)
def test_a_false_description_is_detected(lie: Callable[[Raw], object], site: str) -> None:
    """A status, media type, header, member, type or pattern that is not what comes."""
    operation = _described(site, lie)[STATE]["GET"]
    with pytest.raises(FailureGroup):
        _answer(_naming(operation.Case(), SUFFIX))
