"""Build wheel and sdist of the last commit twice, compare them byte for byte, install and try them.

The first build makes the wheel from the sdist, the second both from the tree, in another folder and
from files with other times. What is built must hold the files of the commit and no others, and must
work in a new environment. The exit code is 1 at the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "bundles" / "pith.tar"
STATES = ROOT / "bundles" / "pith.states.jsonl"
ANOTHER_TIME = 1_000_000_000

Files = Mapping[str, bytes]


def require(is_so: bool, checked: str) -> None:  # noqa: FBT001
    """Print what was checked, or exit with 1."""
    print("ok  " if is_so else "FAIL", checked, flush=True)
    if not is_so:
        sys.exit(1)


def run(*command: str | Path, **environment: str) -> bytes:
    """Run a command outside the repository; return what it prints."""
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            command, cwd=elsewhere, env=os.environ | environment, stdout=subprocess.PIPE, check=True
        )
    return done.stdout


def git(*arguments: str) -> bytes:
    """Ask git about the repository."""
    return run("git", "-C", ROOT, *arguments)


def committed() -> Files:
    """Return the files of the last commit, by path."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", "HEAD"))) as archive:
        return files_of_tar(archive)


def files_of_tar(archive: tarfile.TarFile) -> Files:
    """Return the regular files of a tar."""
    return {
        member.name: content.read()
        for member in archive.getmembers()
        if member.isfile() and (content := archive.extractfile(member))
    }


def write_tree(folder: Path, files: Files) -> None:
    """Write files to a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def build(tree: Path, *what: str) -> Files:
    """Build a tree; return the built files by name."""
    out = tree.with_name(f"{tree.name}-dist")
    epoch = git("log", "-1", "--format=%ct").decode().strip()
    builder = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    run(*builder, out, *what, tree, SOURCE_DATE_EPOCH=epoch)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def build_twice(work: Path, files: Files) -> Files:
    """Build the commit in two ways, and require the same bytes."""
    write_tree(work / "first", files)
    write_tree(work / "second", files)
    for path in (work / "second").rglob("*"):
        os.utime(path, (ANOTHER_TIME, ANOTHER_TIME))
    first = build(work / "first")  # the wheel from the sdist
    second = build(work / "second", "--sdist", "--wheel")  # both from the tree
    for name in sorted({*first, *second}):
        require(first.get(name) == second.get(name), f"two builds give the same {name}")
    return first


def below(files: Files, *paths: str) -> Files:
    """Return the files that are one of these paths or below one."""
    return {
        name: content
        for name, content in files.items()
        if any(name == path or name.startswith(f"{path}/") for path in paths)
    }


def placed(files: Files, targets: Mapping[str, str]) -> Files:
    """Return committed files and folders, by the path to which `pyproject.toml` maps them."""
    return {
        target + name.removeprefix(source): content
        for source, target in targets.items()
        for name, content in below(files, source).items()
    }


def check_wheel(wheel: bytes, files: Files, project: Mapping[str, dict[str, str]]) -> None:
    """Require that a wheel holds the package as committed, with all that is not Python."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    expected = {**below(files, "mirror"), **placed(files, project["force-include"])}
    package = below(held, "mirror")
    require(package == expected, f"the wheel holds the {len(expected)} files of mirror/, no others")
    for what in ("py.typed", "/templates/", "/static/"):
        count = sum(what in name for name in package)
        require(count > 0, f"the wheel holds {count} files with {what} in their path")
    shared = placed(files, project["shared-data"])
    data = {name.partition(".data/data/")[2]: held[name] for name in held if ".data/" in name}
    require(data == shared, f"the wheel holds the {len(shared)} files of share/, no others")


def check_sdist(sdist: bytes, files: Files, include: list[str]) -> None:
    """Require that an sdist holds what `pyproject.toml` includes, as committed."""
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        held = {name.partition("/")[2]: data for name, data in files_of_tar(archive).items()}
    del held["PKG-INFO"]
    included = (path.removeprefix("/") for path in include)
    expected = below(files, "pyproject.toml", ".gitignore", *included)
    require(
        held == expected, f"the sdist holds the {len(expected)} files that it should, no others"
    )


def check_version(built: Files, files: Files) -> str:
    """Require one version in the package, the names of the files and the changelog."""
    version = re.search(
        r'^__version__ = "(.+)"$', files["mirror/__init__.py"].decode(), re.MULTILINE
    )
    named = version[1] if version else "unknown"
    names = [f"pith_mirror-{named}-py3-none-any.whl", f"pith_mirror-{named}.tar.gz"]
    require(sorted(built) == names, f"the files are {' and '.join(names)}")
    heading = rf"^## \[{re.escape(named)}\] - \d{{4}}-\d\d-\d\d$".encode()
    found = re.search(heading, files["CHANGELOG.md"], re.MULTILINE)
    require(found is not None, f"CHANGELOG.md has a dated section {named}")
    return named


def check_installed(work: Path, wheel: Path, version: str) -> None:
    """Install a wheel in a new environment, and try it there."""
    fresh = work / "fresh"
    venv.create(fresh, with_pip=True)
    python, mirror = (fresh / "bin" / name for name in ("python", "mirror"))
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    said = run(mirror, "--version").decode().partition("\n")[0]
    require(said == f"mirror, version {version}", f"in a new environment: {said}")
    path = f"{fresh / 'bin'}{os.pathsep}{os.environ['PATH']}"
    check_completion(fresh, path)
    check_manual(fresh, path)
    states = run(mirror, "merge", SAMPLE, "--db", work / "mirror.db", "--json")
    require(
        states == STATES.read_bytes(), f"it merges {SAMPLE.name} to the states of {STATES.name}"
    )


def check_completion(prefix: Path, path: str) -> None:
    """Require that bash completes a command by the installed file."""
    file = prefix / "share" / "bash-completion" / "completions" / "mirror"
    words = "COMP_WORDS=(mirror me) COMP_CWORD=1; _mirror_completion mirror; echo $COMPREPLY"
    said = run("bash", "-c", f". '{file}'; {words}", PATH=path).decode().strip()
    require(said == "merge", f"bash completes `mirror me` to `mirror {said}`")


def check_manual(prefix: Path, path: str) -> None:
    """Require that every page is installed where `man` looks for it."""
    pages = prefix / "share" / "man" / "man1"
    names = sorted(page.name for page in (ROOT / "docs" / "man").iterdir())
    installed = sorted(page.name for page in pages.iterdir())
    require(installed == names, f"{len(installed)} manual pages are installed")
    if shutil.which("man") is not None:
        found = run("man", "--where", "mirror-keys-add", PATH=path).decode().strip()
        require(found == str(pages / "mirror-keys-add.1"), "man finds them in the new environment")


def check_against(built: Files, folder: Path) -> None:
    """Require that published files are those that were built."""
    for name, content in built.items():
        path = folder / name
        require(path.is_file() and path.read_bytes() == content, f"{path} is what was built")


def main() -> int:
    """Check everything, leave the files in `dist/`, and print their digests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="published files to compare with what is built"
    )
    against = parser.parse_args().against
    if git("status", "--porcelain"):
        print(
            "error: uncommitted changes would not be built; commit or stash them", file=sys.stderr
        )
        return 2
    files = committed()
    targets = tomllib.loads(files["pyproject.toml"].decode())["tool"]["hatch"]["build"]["targets"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        built = build_twice(work, files)
        version = check_version(built, files)
        wheel, sdist = sorted(built)
        check_wheel(built[wheel], files, targets["wheel"])
        check_sdist(built[sdist], files, targets["sdist"]["include"])
        check_installed(work, work / "first-dist" / wheel, version)
    if against is not None:
        check_against(built, against)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    write_tree(ROOT / "dist", built)
    for name, content in built.items():
        print(f"{hashlib.sha256(content).hexdigest()}  dist/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
