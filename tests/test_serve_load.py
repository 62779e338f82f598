"What clients send, by chance and on purpose; `python tests/fuzz.py requests` sends more"
import pytest

pytest.importorskip('hypothesis'), pytest.importorskip('httpx'), pytest.importorskip('fastapi')


def test_random_requests():
    import fuzz_requests
    fuzz_requests.run(cases=60, seed=1)
