"""`mirror probe`: how the ids and signatures of real events are computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, options, trusted_keys
from mirror.cli.ingest_view import FindingPrinter
from mirror.cli.output import plural, print_json, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_terminal
from mirror.core.profile import FIELDS, MIRROR_V1, is_built_in
from mirror.core.values import Object
from mirror.engine.atomic_file import OutputFile
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.probe import TypeSuggestion, probe_bundles, report_value
from mirror.probe.pre_images import MAX_TRIES, SearchBudget
from mirror.probe.search import ProbeResult, ProfileEvidence

__all__ = ["probe"]

_FORMS = {
    "digest": "the raw 32 bytes of the SHA-256 of",
    "hex": "the 64 hexadecimal digits, as text, of the SHA-256 of",
    "canonical": "the canonical bytes of",
}
_SHOWN = 5
_LISTED = 20
"""Members that are named in one line, and types that are listed."""


@click.command()
@options.sources
@options.db
@trusted_keys.key_files
@click.option("--save", type=OutputPath(), metavar="FILE", help="Write the proposed profile.")
@click.option(
    "--report",
    type=OutputPath(),
    metavar="FILE",
    help="Write the tried methods and the structure of events, without their content.",
)
@click.option("--name", default="probed", show_default=True, help="Name of the profile.")
@click.option(
    "--sample-size",
    "most",
    type=options.Count(2),
    default=10_000,
    show_default=True,
    help="Events to examine.",
)
@click.option(
    "--max-tries",
    type=options.Count(1),
    default=MAX_TRIES,
    show_default=True,
    help="Texts and signatures to try.",
)
@options.as_json
@limit_options.limits
@writes
def probe(
    *,
    sources: tuple[str, ...],
    db: Path,
    key_files: tuple[Path, ...],
    save: OutputFile | None,
    report: OutputFile | None,
    name: str,
    most: int,
    max_tries: int,
    as_json: bool,
    limits: ReadLimits,
) -> None:
    """Find out how the events of bundles are hashed and signed.

    The registry publishes no event format. If valid events are refused, this command searches for
    the bytes that their ids and signatures are computed from, and proposes a profile that a trusted
    key proves. Neither the store nor its trusted keys are changed.

    \b
    Examples:
      mirror probe bundle.json
      mirror probe bundle.tar --save profile.json --report for-the-developers.json

    Exit codes: 0 one profile is proposed; 1 none is, or more than one.
    """
    keys = trusted_keys.store_keys(db).with_added(trusted_keys.read_key_files(key_files))
    printer, summary = FindingPrinter(as_json=False), Summary()

    def on_finding(finding: Finding) -> None:
        summary.count(finding)
        printer.on_finding(finding)

    with show_progress("tried", "texts and signatures") as progress:
        job = ReadRequest(sources, on_finding, limits=limits)
        found, types = probe_bundles(job, keys, most, SearchBudget(progress.advance, max_tries))
    printer.end()
    found.rename(name)
    value = report_value(found, types)
    if as_json:
        print_json(value)
    else:
        for line in _lines(found, types):
            click.echo(escape_terminal(line))
    if report is not None:
        _write(report, value)
    if save is not None and found.is_settled and found.found is not None:
        _write(save, found.found.profile.to_value())
        say(f"the profile is in {save.path}; read it before you trust it:")
        say(f"`mirror keys trust-profile {save.path}`")
    sys.exit(
        exit_codes.of_summary(summary) or (exit_codes.OK if found.is_settled else exit_codes.FOUND)
    )


def _write(file: OutputFile, value: Object) -> None:
    with file.open() as out:
        out.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


# Output --------------------------------------------------------------------------------------


def _lines(found: ProbeResult, types: Sequence[TypeSuggestion]) -> Iterator[str]:
    yield f"examined {plural(found.events, 'event')}"
    for name, count in found.by_profile.items():
        is_own = is_built_in(name)
        profile = "the built-in profile mirror-v1 (E1 to E3)" if is_own else f"trusted {name}"
        yield f"valid under {profile}: {count:,}"
    if found.found is not None:
        yield from _lines_of_fit(found.found)
        yield from _lines_of_others(found)
        yield from (one.sentence for one in types[:_LISTED])
        if types and not is_built_in(found.found.profile.name):
            yield "hint: `mirror keys trust-profile FILE --map NAME=TYPE` maps a type of events"
    elif found.events:
        yield "no profile is proposed"
        yield from _lines_of_failure(found)
    yield from (f"not tried: {bound}" for bound in found.effort.bounds)


def _lines_of_fit(fit: ProfileEvidence) -> Iterator[str]:
    profile, rule = fit.profile, fit.profile.signature
    if profile.id is None:
        yield "id: no text in the event is a digest of the whole event"
    else:
        spelled = f"{profile.id.spelling.prefix}<{profile.id.spelling.encoding}>"
        yield f"all {fit.ids} ids recompute: {profile.id.at} is {spelled}, the SHA-256 of"
        yield f"  {profile.id.hashes.words}"
    signed_by = ", ".join(fit.keys)
    yield f"all {fit.signatures} signatures verify with key {signed_by}: {rule.at} is over"
    if rule.form == "id":
        yield "  the text of the id"
    elif rule.signs is not None:
        yield f"  {_FORMS[rule.form]} {rule.signs.words}"
    for field in FIELDS:
        if field in profile.pointers:
            yield f"{field}: {profile.pointers[field]}"
    yield from _lines_of_weakness(fit)


def _lines_of_weakness(fit: ProfileEvidence) -> Iterator[str]:
    if fit.is_said_by_payload:
        yield "type, subject and time are in the payload: only a person can decide whether"
        yield "  the signer meant them for the event"
    if fit.is_ascii_only and fit.profile != MIRROR_V1:
        yield "these events are all ASCII, so they do not show whether other text is hashed"
        yield "  as it is (V2) or escaped (V7); V2 is assumed"
    if not fit.unprotected:
        yield "every member is protected by the signature"
        return
    places = _listed(fit.unprotected)
    yield f"NOT protected by the signature, so anyone can change it: {places}"
    if loose := fit.covered_by_id_alone:
        yield f"the id depends on {_listed(loose)}: a change of it makes the same event look like"
        yield "  another one"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _lines_of_others(found: ProbeResult) -> Iterator[str]:
    if found.alternatives:
        others = plural(len(found.alternatives), "other profile")
        yield f"not reliable, because it is not the only fit: {others}"
    elif found.effort.texts:
        yield "no other profile fits"
    for fit in found.alternatives[:_SHOWN]:
        yield from (f"  {line}" for line in _lines_of_fit(fit))


def _lines_of_failure(found: ProbeResult) -> Iterator[str]:
    for rule in found.hashed:
        yield f"in every event {rule.at} is the SHA-256 of {rule.hashes.words}"
    if found.hashed and not found.refused and found.explained < found.events:
        yield "but no trusted key made the signatures: `mirror keys add` trusts a signer's key"
    for fit in found.refused[:_SHOWN]:
        yield from _lines_of_refusal(fit)
    tried = f"{found.effort.texts:,} candidate texts"
    yield f"tried: {tried}, and {plural(found.effort.signatures, 'signature')} over them, their"
    yield "  digests, the digits of these, and ids"
    yield "hint: --report FILE writes the tried methods and the structure of the events, no content"


def _lines_of_refusal(fit: ProfileEvidence) -> Iterator[str]:
    yield f"not proposed, though {plural(fit.signatures, 'signature')} of {fit.events} verify:"
    yield from (f"  {line}" for line in fit.objections)
    yield from (f"  does not fit: {place}" for place in fit.unexplained[:_SHOWN])
