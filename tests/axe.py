"axe-core, which finds what keeps people with a screen reader, a keyboard or weak eyes from using a page; npm brings it when a test asks"
import functools
import shutil
import subprocess
import tarfile
import tempfile

import pytest

PACKAGE = 'axe-core@4'


@functools.cache
def _script():
    "The library as JavaScript; an exception if it can't be had"
    with tempfile.TemporaryDirectory() as folder:
        r = subprocess.run(['npm', 'pack', '--silent', '--prefer-offline', PACKAGE], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
        with tarfile.open(f'{folder}/{r.stdout.split()[-1]}') as t: return t.extractfile('package/axe.min.js').read().decode()


def require_axe():
    "Skip the test, visibly, where there is no npm or no network"
    if not shutil.which('npm'): pytest.skip('axe-core: there is no npm on this machine')
    try: _script()
    except (OSError, subprocess.SubprocessError, KeyError, IndexError) as e: pytest.skip(f'axe-core: npm could not get it ({type(e).__name__})')


def violations(page, selector='html'):
    "What axe-core calls serious or critical below `selector`, one line each"
    require_axe()
    page.evaluate(_script() + '; 0')
    found = page.evaluate('selector => axe.run(selector)', selector)['violations']
    return [f'{v["impact"]}: {v["id"]}, {v["help"]}: {n["html"][:200]} {n["failureSummary"][:300]}'
            for v in found if v['impact'] in ('serious', 'critical') for n in v['nodes']]
