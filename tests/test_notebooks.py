"Each notebook under nbs/ is one test, run by `nbdev_test` in its own process: `pytest -k corpus` picks one"
import subprocess
import sysconfig
from pathlib import Path

import pytest
from nbdev.config import get_config
from nbdev.doclinks import nbglob

CFG = get_config(path=Path(__file__).parents[1])
NBDEV_TEST = Path(sysconfig.get_path('scripts'))/'nbdev_test'


def name(nb): return nb.relative_to(CFG.nbs_path).with_suffix('').as_posix()


@pytest.mark.parametrize('nb', sorted(nbglob(CFG.nbs_path, as_path=True)), ids=name)
def test_notebook(nb):
    res = subprocess.run([NBDEV_TEST, '--path', nb], cwd=CFG.config_path, text=True, timeout=600,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if res.returncode: pytest.fail(res.stdout, pytrace=False)
    print(res.stdout)
