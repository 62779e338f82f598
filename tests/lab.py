"A real JupyterLab and a real Chromium for tests: fixtures (conftest.py imports them) and user actions"
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
FLAGS = ('--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking '
         '--disable-component-update --disable-sync --disable-dev-shm-usage').split()
QUIET = {'notification': '{"fetchNews": "false", "checkForUpdates": false}'}


def write_notebook(path, cells):
    "A notebook of code cells"
    import nbformat
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c.strip()) for c in cells],
                                  metadata={'kernelspec': {'name': 'python3', 'display_name': 'Python 3'}})
    nbformat.write(nb, path)


def _environment(tmp):
    "Environment variables for JupyterLab with separate folders, so that personal settings have no effect"
    names = ('CONFIG_DIR', 'DATA_DIR', 'RUNTIME_DIR', 'LAB_SETTINGS_DIR', 'LAB_WORKSPACES_DIR')
    own = {f'JUPYTER{"" if n.startswith("LAB") else "_"}{n}': str(tmp/n.lower()) for n in names}
    settings = tmp/'lab_settings_dir/@jupyterlab/apputils-extension'
    settings.mkdir(parents=True)
    for name, text in QUIET.items(): (settings/f'{name}.jupyterlab-settings').write_text(text)
    return os.environ | own | {'IPYTHONDIR': str(tmp/'ipython'), 'OMP_NUM_THREADS': '1'}


def wait_for_server(url, process, log, seconds=90):
    "Wait until Jupyter answers; it prints its address a moment earlier"
    end = time.time() + seconds
    while True:
        try: return urlopen(f'{url}/api', timeout=1)
        except OSError:
            assert process.poll() is None and time.time() < end, log.read_text()
            time.sleep(.1)


@contextmanager
def jupyter_lab(tmp):
    "JupyterLab on a free port: its `url`, and the folder it shows, `root`"
    (root := tmp/'root').mkdir()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    with open(tmp/'lab.log', 'w') as log:
        p = subprocess.Popen([sys.executable, '-m', 'jupyterlab', '--allow-root', '--no-browser', '--ip=127.0.0.1', f'--port={port}',
                              '--ServerApp.port_retries=0', '--IdentityProvider.token=', '--LabApp.expose_app_in_browser=True',
                              f'--ServerApp.root_dir={root}'], env=_environment(tmp), stdout=log, stderr=log)
    url = f'http://127.0.0.1:{port}'
    try:
        wait_for_server(url, p, tmp/'lab.log')
        yield SimpleNamespace(url=url, root=root, log=tmp/'lab.log')
    finally:
        p.send_signal(signal.SIGTERM)  # also shuts its kernels down
        try: p.wait(30)
        except subprocess.TimeoutExpired: p.kill()  # it may hang if a page disconnects meanwhile; kernels end with their server


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "JupyterLab for the tests of a module"
    pytest.importorskip('jupyterlab')
    with jupyter_lab(tmp_path_factory.mktemp('lab')) as lab: yield lab


@pytest.fixture(scope='session')
def browser():
    sync_api = pytest.importorskip('playwright.sync_api')
    if not CHROMIUM: pytest.skip('there is no Chromium on this machine')
    sync_api.expect.set_options(timeout=30_000)  # other work may be running
    with sync_api.sync_playwright() as pw:
        b = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield b
        b.close()


@pytest.fixture
def page(browser):
    "A page of a fresh browser profile"
    context = browser.new_context(viewport={'width': 1200, 'height': 1000})
    yield context.new_page()
    context.close()


def open_notebook(page, url, name):
    "Open a notebook and wait until its kernel is ready"
    from playwright.sync_api import expect
    for attempt in range(3):
        page.goto(f'{url}/doc/tree/{name}?reset')
        # The toolbar says idle before there is a kernel, and a cell run then is dropped; the status bar is right.
        # Now and then it stays "Unknown" after a cold start, and a reload helps.
        try: return expect(page.locator('#jp-main-statusbar')).to_contain_text('| Idle')
        except AssertionError:
            if attempt == 2: raise


def cell(page, i): return page.locator('.jp-Notebook .jp-CodeCell').nth(i)


def start_cell(page, i):
    "Run a cell without waiting for its end"
    cell(page, i).locator('.jp-InputArea-editor .cm-content').click()
    page.keyboard.press('Control+Enter')
    return cell(page, i)


def run_cell(page, i, seconds=60):
    "Run a cell to its end"
    from playwright.sync_api import expect
    c = start_cell(page, i)
    # to_have_text reads textContent; innerText is '' for cells outside the viewport
    expect(c.locator('.jp-InputPrompt')).to_have_text(re.compile(r'\[\d+\]'), timeout=seconds*1000)
    return c


def save(page, path, seconds=30):
    "Save the notebook and read the file"
    import nbformat
    before = path.stat().st_mtime_ns
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    end = time.time() + seconds
    while path.stat().st_mtime_ns == before:
        assert time.time() < end, f'{path} was not saved'
        time.sleep(.1)
    return nbformat.read(path, 4)


def set_theme(page, dark):
    "JupyterLab's light or dark theme"
    from playwright.sync_api import expect
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f'JupyterLab {"Dark" if dark else "Light"}')
    expect(page.locator('body')).to_have_attribute('data-jp-theme-light', 'false' if dark else 'true')
