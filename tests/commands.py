"""What the words of a `yaya` command ask for, without running it."""

from tests.conftest import ROOT
from yaya import pipeline
from yaya.core.config import build, keys
from yaya.core.recipe import parse_assignment, read_recipe, set_dotted
from yaya.run import Run
from yaya.tune import search
from yaya.tune.space import parse_space


def resolved(stage: str, *words: str) -> Run:
    """The run that `yaya STAGE WORDS` would begin, or its error; recipes are those of the repository."""
    stage = "run" if stage == "plan" else stage
    recipe: dict = {}
    for word in words:
        if "=" not in word:
            recipe = read_recipe(ROOT / word)
            continue
        name, value = parse_assignment(word)
        own = search.TuneConfig if stage == "tune" else pipeline.STAGES[stage].config if stage != "run" else None
        inner = own is not None and name.split(".")[0] in keys(own)
        set_dotted(recipe, f"{stage}.{name}" if inner else name, value)
    tune = build(search.TuneConfig, recipe.pop("tune", {}), "tune")
    job = pipeline.open_run(recipe)
    parse_space(tune.space, job.recipe.stages[tune.stage])
    return job
