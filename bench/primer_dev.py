"""Development questions of the primer (another seed than the final ones): what tuning may look at.

python bench/primer_dev.py MODEL_FOLDER [per_skill]
"""

import sys
from pathlib import Path

from yaya import primer
from yaya.core.machine import setup
from yaya.evaluate.tasks import accuracy, ask
from yaya.inference.engine import Engine
from yaya.inference.repetition import loops

engine = Engine.load(Path(sys.argv[1]), setup())
per_skill = int(sys.argv[2]) if len(sys.argv) > 2 else 50
for name in ("combinations", "phrasings"):
    for language in primer.LANGUAGES:
        questions = primer.questions(name, language, per_skill, seed=1)
        requests = ask(engine, questions, 64, name)
        result = accuracy(questions, [primer.check(q, r.text) for q, r in zip(questions, requests, strict=True)])
        skills = " ".join(f"{skill[:6]} {value['accuracy']:.0%}" for skill, value in result["skills"].items())
        looping = sum(loops(r.output_ids) for r in requests) / len(requests)
        print(f"{name} {language} {result['accuracy']:.1%} loops {looping:.1%} | {skills}", flush=True)
