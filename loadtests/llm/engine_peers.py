"""Other engines with the same weights, in an environment of their own: this file imports nothing of the project.

Its arguments are the GGUF file and the engines to load. It reads tasks as lines of JSON, {"peer", "jobs": [{"prompt":
tokens, "new_tokens": n}], "batch", "stop"}, and answers each with {"cpu", "wall", "tokens"}, in seconds, or {"error"}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

CONTEXT = 512
"""Tokens of a sequence."""
MOST_AT_ONCE = 8
Task = dict[str, Any]


class Peer(Protocol):
    """An engine."""

    def run(self, jobs: list[Task], batch: int, stop: list[str]) -> int:
        """Does the jobs, `batch` at once, greedily; how many tokens it made of those that were wanted.

        Without `stop` every job gets all its tokens, whatever the model says.
        """


class Transformers:
    """transformers.generate: a batch is padded on the left, and its rows stay until the longest has ended."""

    def __init__(self, path: Path, precision: str) -> None:
        torch, transformers = import_module("torch"), import_module("transformers")
        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._torch = torch
        self._model = transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=getattr(torch, precision)
        ).eval()
        self._model.generation_config.eos_token_id = None
        self._model.generation_config.pad_token_id = 0

    def run(self, jobs: list[Task], batch: int, stop: list[str]) -> int:
        """Batch after batch; a stop string is not known here."""
        if stop:
            raise ValueError("transformers runs jobs of fixed lengths only")
        for start in range(0, len(jobs), batch):
            self._generate(jobs[start : start + batch])
        return sum(job["new_tokens"] for job in jobs)

    def _generate(self, jobs: list[Task]) -> None:
        longest, tokens = max(len(job["prompt"]) for job in jobs), max(job["new_tokens"] for job in jobs)
        gaps = [longest - len(job["prompt"]) for job in jobs]
        rows = [[0] * gap + job["prompt"] for gap, job in zip(gaps, jobs, strict=True)]
        seen = [[0] * gap + [1] * (longest - gap) for gap in gaps]
        with self._torch.inference_mode():
            answer = self._model.generate(
                self._torch.tensor(rows),
                attention_mask=self._torch.tensor(seen),
                max_new_tokens=tokens,
                do_sample=False,
            )
        if answer.shape[1] != longest + tokens:
            raise RuntimeError(f"generate made {answer.shape[1] - longest} tokens of {tokens}")


class LlamaCpp:
    """llama.cpp's server inside this process, its slots batched continuously."""

    def __init__(self, path: Path) -> None:
        xllamacpp = import_module("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel = CONTEXT * MOST_AT_ONCE, MOST_AT_ONCE
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = params.n_threads_http = 1
        params.cont_batching, params.warmup, params.verbosity = True, True, -1
        self._server = xllamacpp.Server(params)

    def run(self, jobs: list[Task], batch: int, stop: list[str]) -> int:
        """Callers wait for their answers before they ask again; equal beginnings of prompts are kept."""
        with ThreadPoolExecutor(batch) as pool:
            return sum(pool.map(lambda job: self._complete(job, stop), jobs))

    def _complete(self, job: Task, stop: list[str]) -> int:
        call = {
            "prompt": job["prompt"], "n_predict": job["new_tokens"], "stop": stop, "temperature": 0.0,
            "samplers": ["temperature"], "ignore_eos": not stop, "cache_prompt": True, "stream": False,
        }  # fmt: skip
        answer = self._server.handle_completions(call)
        made = (json.loads(answer) if isinstance(answer, str | bytes) else answer).get("usage", {})
        return int(made["completion_tokens"])


def main() -> None:
    """Answers tasks until there are no more."""
    # Libraries print to standard output; the lines of this program go where it used to lead.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    path, names = Path(sys.argv[1]), sys.argv[2:]
    peers: dict[str, Peer] = {}
    for name in names:
        engine, _, precision = name.partition("-")
        try:
            peers[name] = LlamaCpp(path) if engine == "llama.cpp" else Transformers(path, precision)
        except Exception as error:  # a boundary: whatever is wrong with one engine, the others are asked
            print(json.dumps({"peer": name, "error": f"{type(error).__name__}: {error}"}), file=lines)
        else:
            print(json.dumps({"peer": name}), file=lines)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(_answer(peers[task["peer"]], task)), file=lines)


def _answer(peer: Peer, task: Task) -> Task:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        tokens = peer.run(task["jobs"], task["batch"], task["stop"])
    except Exception as error:  # a boundary, as above
        return {"error": f"{type(error).__name__}: {error}"}
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "tokens": tokens}


if __name__ == "__main__":
    main()
