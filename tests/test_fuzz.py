"A small budget of every target of fuzz.py: the cases that failed once, and some generated ones, the same each time"
import pytest

from fuzz import TARGETS, fuzz

CASES = {'folders': 25, 'control': 12, 'requests': 60, 'cli': 25}


@pytest.mark.parametrize('target', TARGETS)
def test_nothing_fails(target):
    cases, failures = fuzz(target, CASES[target], seed=0)
    assert not failures, '\n'.join(f'{where}: {case!r}\n{trace}' for where, (_, case, trace) in failures.items())
    assert cases >= CASES[target]
