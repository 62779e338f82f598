"""Fuzzing by a command: hostile input of one kind, case after case

    python tests/fuzz.py folders --cases 2000 --seed 1     so many cases; the same seed gives the same ones
    python tests/fuzz.py folders --case "('runs', …)"      one case again, as a failure printed it

A target is a module of this folder with `cases`, a Hypothesis strategy of plain values, `EXAMPLES`, which once failed,
and `session()`, a context manager that gives a function: it takes a case and raises if the case breaks the rules.
Raw HTTP goes in batches to a server process: python tests/fuzz_http.py --cases 2000 --seed 1
"""
import argparse
import ast
import importlib
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings

sys.path.insert(0, str(Path(__file__).parents[1]))
TARGETS = {'folders': 'fuzz_folders', 'control': 'fuzz_control', 'requests': 'fuzz_requests', 'cli': 'fuzz_cli'}  # name → module


def place(error: BaseException) -> str:
    "What went wrong and the last line of ours that was running: failures of one cause have one place"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if '/chatgot/' in f.filename] or traceback.extract_tb(error.__traceback__)
    return f'{type(error).__name__} in {Path(frames[-1].filename).name}, {frames[-1].name}: {frames[-1].line}'


def each(strategy, n: int, seed: int, function):
    "Call a function with so many values of a strategy, the same for the same seed"
    generate = settings(max_examples=n, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    seeded(seed)(generate(given(strategy)(function)))()


def fuzz(target: str, cases: int, seed: int) -> tuple[int, dict[str, tuple]]:
    "How many cases were tried, the examples first; for each place that failed how often, the first case, its traceback"
    module, failures, counts = importlib.import_module(TARGETS[target]), {}, Counter()
    with module.session() as check:
        def attempt(case):
            counts['cases'] += 1
            try: check(case)
            except Exception as e:
                counts[place(e)] += 1
                failures.setdefault(place(e), (case, ''.join(traceback.format_exception(e, limit=-8))))

        for case in module.EXAMPLES: attempt(case)
        each(module.cases, cases, seed, attempt)
    return counts['cases'], {p: (counts[p], *f) for p, f in failures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('target', choices=TARGETS)
    parser.add_argument('--cases', type=int, default=500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--case', type=ast.literal_eval, help='a single case, as a failure printed it')
    args = parser.parse_args()
    if args.case is not None:
        with importlib.import_module(TARGETS[args.target]).session() as check: return check(args.case)
    start = time.perf_counter()
    n, failures = fuzz(args.target, args.cases, args.seed)
    for where, (count, case, trace) in failures.items(): print(f'{trace}\n{count} × {where}\n  --case "{case!r}"\n')
    print(f'{args.target}, seed {args.seed}: {n} cases in {time.perf_counter() - start:.0f} s, '
          f'{sum(f[0] for f in failures.values())} failed at {len(failures)} places')
    sys.exit(bool(failures))


if __name__ == '__main__': main()
