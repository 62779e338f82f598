"Each notebook under nbs/ is one test, run by `nbdev_test` in its own process: `pytest -k corpus` picks one"
import json
import os
import re
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nbdev.config import get_config
from nbdev.doclinks import nbglob

CFG = get_config(path=Path(__file__).parents[1])
NBDEV_TEST = Path(sysconfig.get_path('scripts'))/'nbdev_test'


def name(nb): return nb.relative_to(CFG.nbs_path).with_suffix('').as_posix()


def run(nb):
    return subprocess.run([NBDEV_TEST, '--path', nb], cwd=CFG.config_path, text=True, timeout=600, env=os.environ | {'OMP_NUM_THREADS': '1'},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope='session')
def running(request):
    "The chapters that were asked for, each in a process with one thread, as many at a time as there are processors"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {i.callspec.params['nb']: pool.submit(run, i.callspec.params['nb']) for i in request.session.items if i.originalname == 'test_notebook'}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize('nb', sorted(nbglob(CFG.nbs_path, as_path=True)), ids=name)
def test_notebook(nb, running):
    res = running[nb].result()
    if res.returncode: pytest.fail(res.stdout, pytrace=False)
    print(res.stdout)


TUTORIALS = sorted((CFG.nbs_path/'tutorials').glob('*.ipynb'))


@pytest.mark.parametrize('nb', TUTORIALS, ids=lambda p: p.stem)
def test_tutorial_leads_on(nb):
    "Each one ends with three things to try, what explains more, and the next one; its links lead to files"
    last = ''.join(json.loads(nb.read_text(encoding='utf-8'))['cells'][-1]['source'])
    assert last.startswith('## To try') and len(re.findall('^- ', last, re.M)) >= 3
    links = re.findall(r'\]\((?!\w+:)([^)#]+)\)', last)
    assert [l for l in links if not (nb.parent/l).exists()] == [] and any(l.startswith('../') for l in links)
    after = TUTORIALS[TUTORIALS.index(nb) + 1:][:1]
    assert all(n.name in links for n in after)
