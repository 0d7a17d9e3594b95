"""The floors: a room imports only from lower floors, rooms on one floor never import each other, and no files in a circle."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "yaya"
FLOORS = [
    {"core"},
    {"pages"},
    {"primer"},
    {"tokenize"},
    {"prepare", "model"},
    {"inference"},
    {"evaluate", "export"},
    {"train"},
    {"run"},
    {"pipeline"},
    {"tune", "serve"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Stages are loaded by name, so the pipeline's table counts as imports too; it stands above them all.


UNKNOWN_TO_TRAINING = ("yaya.primer", "yaya.pages", "yaya.evaluate.tasks", "yaya.serve")


def name_of(path: Path) -> str:
    """`yaya.core.files`; `yaya.core` for its `__init__.py`."""
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Our files that a file imports, be it at its top, inside a function, or for type checkers alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write the whole name, yaya..."
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:  # of `from yaya.core import files` the file is the name, else what stands in front of it
            found.add(name if name in FILES else name.rpartition(".")[0])
    return found & FILES.keys() - {"yaya"}


def room_of(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", [name for name in FILES if name != "yaya"])
def test_imports_go_down(name: str) -> None:
    """Rooms of one floor have the same level, so that neither may import the other."""
    room = room_of(name)
    assert room in LEVEL, f"{room} has no floor"
    for other in {room_of(other) for other in imported(FILES[name])} - {room}:
        assert LEVEL[other] < LEVEL[room], f"{room} imports {other}, which is not below it"


def test_no_circle() -> None:
    TopologicalSorter({name: imported(path) for name, path in FILES.items()}).prepare()  # CycleError names the files


def test_training_knows_neither_primer_nor_pages_nor_tasks() -> None:
    code = f"""
import sys
import yaya.train.loop
found = [name for name in sys.modules if name.startswith({UNKNOWN_TO_TRAINING})]
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_training_needs_no_server_packages() -> None:
    code = """
import sys
for name in ("fastapi", "uvicorn", "starlette", "transformers"):
    sys.modules[name] = None
import yaya.pipeline
for stage in yaya.pipeline.STAGES.values():
    stage.config
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from yaya.cli import main
main(["--help"])
heavy = {"torch", "numpy", "pyarrow", "fastapi", "tokenizers"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_nothing_unsafe() -> None:
    """No pickle, no remote code, no shell."""
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "marshal", "shelve", "dill"} & set(names), path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "torch.save", "eval", "exec", "os.system"), f"{path}: {called}"
                for keyword in node.keywords:
                    if keyword.arg in ("shell", "trust_remote_code"):
                        assert ast.unparse(keyword.value) == "False", f"{path}: {keyword.arg}"
