"""The floors: a room imports only from lower floors; rooms on one floor never import each other."""

import ast
import subprocess
import sys
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
    {"pipeline"},
    {"tune", "serve"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Stages are loaded by name, so the pipeline's table counts as imports too; it stands above them all.


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    package = path.relative_to(SOURCE.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names = [module] + [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "yaya" and len(parts) > 1 and parts[1] in LEVEL:
                rooms.add(parts[1])
    return rooms


def modules() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"{room} has no floor"
    for other in imported_rooms(path) - {room}:
        assert LEVEL[other] < LEVEL[room], f"{room} imports {other}, which is not below it"


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
    for path in modules():
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
