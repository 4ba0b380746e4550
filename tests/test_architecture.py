"""Who may import whom, read from the source text."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plugins" / "bargein"

CORE_MAY_IMPORT = {
    "__future__",
    "collections",
    "dataclasses",
    "enum",
    "json",
    "math",
    "re",
    "typing",
}
"""No clock, no loop, no log, no file, no randomness."""

HOSTS = {
    "again", "call", "core", "detect", "echo", "functions", "handlers", "hearing", "interruption",
    "journal", "language", "lastwords", "manners", "memory", "microphone", "notes", "onset",
    "playback", "progress", "pump", "settings", "stopping", "turns", "watching",
}  # fmt: skip
"""What every host builds on; hosts never import each other."""

MAY_IMPORT = {
    "core": {"core"},
    "language": {"core.overlap", "core.decisions", "core.rules", "language"},
    "pump": {"core"},
    "playback": {"core", "stopping"},
    "stopping": {"core"},
    "detect": {"detect"},
    "echo": {"echo"},
    "microphone": {"call", "core", "echo", "playback"},
    "memory": {"core", "memory"},
    "journal": {"core", "journal"},
    "call": {"core", "pump"},
    "hearing": {"call", "core", "detect"},
    "lastwords": {"call", "core"},
    "onset": {"call", "core"},
    "progress": {"call", "core"},
    "turns": {"call", "core", "language"},
    "watching": {"call", "core", "journal", "language"},
    "again": set(),
    "functions": set(),
    "handlers": set(),
    "interruption": {"core"},
    "notes": {"core"},
    "settings": {"core", "language"},
    "manners": HOSTS,
    "feed": {"call", "core", "manners", "memory"},
    "pipecat": HOSTS | {"pipecat"},
    "livekit": HOSTS | {"livekit"},
    "realtime": HOSTS | {"realtime"},
}
"""The testing kit and the command line may import anything."""

SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).with_suffix("").parts


def imports_of(path: Path) -> set[str]:
    """Every module that a file names, absolute, with our own as ``bargein.something``."""
    here = ("bargein", *name_of(path))
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module} if node.module else {f"{module}.{a.name}" for a in node.names}
    return found


def ours(path: Path) -> set[str]:
    return {name[len("bargein.") :] for name in imports_of(path) if name.startswith("bargein.")}


def within(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(name_of(path)))
def test_a_package_imports_only_what_it_may(path: Path) -> None:
    allowed = MAY_IMPORT.get(name_of(path)[0])
    if allowed is not None:
        assert {name for name in ours(path) if not within(name, allowed)} == set()


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda path: "/".join(name_of(path))
)
def test_the_core_is_pure(path: Path) -> None:
    foreign = {name.split(".")[0] for name in imports_of(path)} - {"bargein"}
    assert foreign <= CORE_MAY_IMPORT
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls.isdisjoint({"open", "print", "input", "exec", "eval"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(name_of(path)))
def test_only_the_pump_and_the_outside_have_a_clock(path: Path) -> None:
    if name_of(path)[0] in ("core", "language", "playback", "stopping"):
        names = {name.split(".")[0] for name in imports_of(path)}
        assert names.isdisjoint({"time", "datetime", "asyncio", "random", "logging", "threading"})


def test_the_package_imports_on_the_standard_library_alone() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from bargein import *;"
        "print(sorted(name for name in sys.modules if '.' not in name))"
    )
    # -S leaves out site-packages: whatever is imported now comes with Python itself.
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(PACKAGE.parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "pipecat" not in run.stdout


def test_the_import_root_is_no_package() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()


def test_public_names_are_all_there() -> None:
    import bargein

    assert sorted(bargein.__all__) == sorted(set(bargein.__all__))
    assert [name for name in bargein.__all__ if not hasattr(bargein, name)] == []
    assert set(bargein.__all__) <= set(dir(bargein))


def test_a_public_name_comes_from_where_a_type_checker_finds_it() -> None:
    import bargein

    read = {
        alias.name: node.module
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert sorted([*read, "__version__"]) == sorted(bargein.__all__)
    for name, module in read.items():
        assert getattr(bargein, name) is getattr(
            importlib.import_module(f"bargein.{module}"), name
        ), name


def test_a_name_that_is_not_there_is_said_as_python_says_it() -> None:
    import bargein

    with pytest.raises(AttributeError, match=r"^module 'bargein' has no attribute 'Yield'$"):
        bargein.Yield  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Yield'"):
        from bargein import Yield  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize("part", ["core.floor.step", "language.judge", "interruption.Interruption"])
def test_a_part_is_there_behind_the_package_alone(part: str) -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import bargein; print(bargein." + part
    run = [sys.executable, "-I", "-c", f"{script})", str(PACKAGE.parent)]
    assert part.rpartition(".")[2] in subprocess.check_output(run, text=True)


def test_importing_the_package_reads_none_of_it() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bargein;"
        "print([name for name in sys.modules if name.startswith(('bargein.', 'asyncio'))])"
    )
    told = subprocess.check_output(
        [sys.executable, "-I", "-c", script, str(PACKAGE.parent)], text=True
    )
    assert told == "[]\n"


@pytest.mark.parametrize("package", ["core", "language", "memory", "journal", "detect"])
def test_any_module_may_be_the_first(package: str) -> None:
    """No circle that holds only where another module was imported before."""
    script = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    for known in [known for known in sys.modules if known.partition(".")[0] == "bargein"]:
        del sys.modules[known]
    importlib.import_module(name)
"""
    names = [
        ".".join(("bargein", *name_of(path))).removesuffix(".__init__")
        for path in SOURCES
        if name_of(path)[0] == package
    ]
    run = subprocess.run(
        [sys.executable, "-c", script, str(PACKAGE.parent), *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
