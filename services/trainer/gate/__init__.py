"""Nobody becomes champion without passing: a challenger is judged against the champion on the same newest examples.

verdict = judge_ranker(champion_folder, challenger_folder, held_out, GateConfig(), seed=0, lake=data_dir / "lake")
verdict.passed, verdict.reasons
show(console, verdict)
"""

from services.trainer.gate.config import GateConfig
from services.trainer.gate.ranker import judge_ranker
from services.trainer.gate.retrieval import judge_retrieval
from services.trainer.gate.show import show
from services.trainer.gate.verdict import Check, Verdict

__all__ = ["Check", "GateConfig", "Verdict", "judge_ranker", "judge_retrieval", "show"]
