"Hostile control requests and settings, a few of them; `python tests/fuzz.py control` tries as many as you like"
import fuzz_control


def test_hostile_requests_and_settings(): fuzz_control.run(12, seed=17)
