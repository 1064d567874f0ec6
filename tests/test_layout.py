"""The rules of the house that the import contracts in pyproject.toml cannot say."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("gateway", "web")
DOOR = {"gateway.control.client", "gateway.control.messages"}
# How things are served, and nothing of what is.
SERVING = {"gateway.http.app", "gateway.http.messages", "gateway.http.server"}

# Flask's own helpers are one library with it for a reader: they come, go and change with it.
FAMILIES = {"werkzeug": "flask", "jinja2": "flask", "markupsafe": "flask"}

# Packages whose modules are called otherwise.
MODULES = {"paho_mqtt": "paho"}

# Libraries of the extra "hub", and who may import them: no gateway has them.
HUB = {
    "pika": {"gateway/adapters/amqp.py"},
    "psycopg": {"gateway/adapters/postgres_link.py", "tests/support/postgres.py"},
}


def modules(package: str) -> Iterator[Path]:
    """The Python files of a package, without what npm brought."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if "node_modules" not in path.parts:
            yield path


def imported(path: Path) -> set[str]:
    """Full names of all modules a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            names.add(node.module)
    return names


def importers(packages: Iterable[str] = PRODUCT) -> dict[str, set[str]]:
    """Third-party library → the files of these packages that import it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for package in packages:
        for path in modules(package):
            for name in imported(path):
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in PRODUCT:
                    found[FAMILIES.get(top, top)].add(str(path.relative_to(ROOT)))
    return dict(found)


def requirements() -> set[str]:
    """Names of the run-time dependencies in pyproject.toml, as they are imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {line.partition(">")[0].replace("-", "_") for line in project["dependencies"]}
    return {MODULES.get(name, name) for name in names}


@pytest.mark.parametrize("library", sorted(requirements()))
def test_one_library_is_imported_by_exactly_one_module(library: str) -> None:
    assert len(importers().get(library, ())) == 1, importers().get(library)


def test_every_imported_library_is_a_dependency() -> None:
    assert set(importers()) <= requirements() | set(HUB)


@pytest.mark.parametrize("library", sorted(HUB))
def test_a_library_of_the_hub_is_imported_only_where_it_belongs(library: str) -> None:
    assert importers((*PRODUCT, "tests"))[library] <= HUB[library]


def test_the_pages_know_only_the_admin_door_and_how_to_serve() -> None:
    for path in modules("web"):
        known = {name for name in imported(path) if name.partition(".")[0] == "gateway"}
        more = known - DOOR - SERVING
        assert not more, f"{path.relative_to(ROOT)} imports {sorted(more)}"


def test_no_adapter_imports_another() -> None:
    prefix = "gateway.adapters."
    for path in modules("gateway/adapters"):
        # One adapter may be several modules, named alike: sqlite_store, sqlite_recovery.
        family = path.stem.partition("_")[0]
        for name in imported(path):
            if name.startswith(prefix):
                other = name.removeprefix(prefix).partition("_")[0]
                assert other == family, f"{path.name} imports {name}"


def test_every_folder_with_modules_is_a_package() -> None:
    for package in PRODUCT:
        for path in modules(package):
            assert (path.parent / "__init__.py").exists(), path.relative_to(ROOT)


def test_lock_files_name_no_address_and_every_package_has_a_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        for address in ("://", "--index", "--extra-index", "--find-links", "@ file"):
            assert address not in text, f"{path.name} holds {address}"
        packages = [line for line in text.splitlines() if line[:1].isalpha()]
        assert packages
        for line in packages:
            assert "==" in line, line
            assert line.endswith("\\"), f"{path.name}: {line} has no hash"


def test_each_lock_holds_the_versions_of_the_one_before() -> None:
    pins = {
        name: {
            line.split()[0]
            for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
            if line[:1].isalpha()
        }
        for name in ("run", "hub", "development")
    }
    assert pins["run"] < pins["hub"] < pins["development"]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    # Nothing of development is in it.
    assert {pin.partition("==")[0] for pin in pins["hub"] - pins["run"]} == {
        *(re.split(r"[\[>]", line)[0] for line in extra["hub"]), "psycopg-binary", "tzdata",
    }  # fmt: skip


def test_npm_lock_files_name_no_address() -> None:
    locks = [path for path in ROOT.rglob("package-lock.json") if "node_modules" not in path.parts]
    assert locks
    for path in locks:
        assert '"resolved"' not in path.read_text(encoding="utf-8"), path.relative_to(ROOT)
