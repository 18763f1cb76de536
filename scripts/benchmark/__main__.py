"""`scripts/bench`: measure, and print what was measured."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmark.measures import MOST_ROUNDS, PARTS, prepare, take_round
from benchmark.process import ENVIRONMENT, RunError, module, run
from benchmark.session import CACHE, Workshop, corpus_of, find_engines, find_libraries, say

_LARGE: Final = 300_000
_SMALLER: Final = 10


def main() -> int:
    """Measure and report; return 1 only if measuring itself failed."""
    arguments = _parse()
    CACHE.mkdir(parents=True, exist_ok=True)
    work = arguments.keep or Path(tempfile.mkdtemp(prefix="work-", dir=CACHE))
    work.mkdir(parents=True, exist_ok=True)
    try:
        _measure_and_report(arguments, work)
    except RunError as error:
        say(f"error: {error}")
        return 1
    finally:
        if arguments.keep is None:
            shutil.rmtree(work)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--size", type=_count, default=20_000, metavar="RECORDS", help="of the corpus (20000)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        choices=range(1, MOST_ROUNDS + 1),
        default=3,
        metavar="N",
        help="rounds; medians are printed (3)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the last stores in DIR")
    parser.add_argument(
        "--against",
        type=int,
        metavar="RECORDS",
        help=f"also measure a smaller corpus (a tenth from --size {_LARGE}; 0: none)",
    )
    parser.add_argument(
        "--engine",
        choices=("native", "pure", "both"),
        default="both",
        help="native code, pure Python, or both in turns (both)",
    )
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    return parser.parse_args()


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _measure_and_report(arguments: argparse.Namespace, work: Path) -> None:
    machine = json.loads(run(module("machine")).output)
    shop = _open_workshop(arguments, work)
    prepare(shop)
    for number in range(arguments.runs):
        say(f"round {number + 1} of {arguments.runs}")
        take_round(shop, number, arguments.only)
    # Only now: what this process loads counts against the peak memory of every child.
    from benchmark.report import print_report, to_json  # noqa: PLC0415
    from benchmark.results import figures  # noqa: PLC0415

    if arguments.json:
        sys.stdout.write(to_json(shop, arguments.runs, machine, figures(shop)) + "\n")
    else:
        print_report(shop, arguments.runs, machine, figures(shop))


def _open_workshop(arguments: argparse.Namespace, work: Path) -> Workshop:
    libraries = find_libraries()
    engines = find_engines(libraries)
    chosen = _choose(engines, arguments.engine)
    ENVIRONMENT["MIRROR_NATIVE"] = "on" if "native" in chosen else "off"
    shop = Workshop(corpus_of(arguments.size, work), work, libraries, chosen)
    against = arguments.against
    if against is None:
        against = arguments.size // _SMALLER if arguments.size >= _LARGE else 0
    if against:
        shop.against = corpus_of(against, work)
    if "pynacl" not in libraries:
        shop.skip("pynacl: it is not installed")
    if "native" not in engines:
        shop.skip("native code: it is not installed, or this `mirror` does not use it")
    return shop


def _choose(engines: dict[str, str], choice: str) -> dict[str, str]:
    """Return those of the engines that were asked for.

    Raises:
        RunError: If there is none.
    """
    wanted = {"native": [True], "pure": [False], "both": [False, True]}[choice]
    chosen = {name: line for name, line in engines.items() if (name == "native") in wanted}
    if not chosen:
        raise RunError("native code is not installed, or this `mirror` does not use it")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
