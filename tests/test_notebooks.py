"Each notebook under nbs/ is one test, run as `nbdev_test` does in its own process: `pytest -k corpus` picks one"
import ast
import json
import re
import threading
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, Queue

import pytest
from nbdev.config import get_config
from nbdev.doclinks import nbglob

from program import chapter, fork

CFG = get_config(path=Path(__file__).parents[1])


def name(nb): return nb.relative_to(CFG.nbs_path).with_suffix('').as_posix()


class Chapters:
    "Runs notebooks, some at a time"
    def __init__(self, nbs, folder):
        self.results, self.todo, self.folder, self.threads = {nb: Future() for nb in nbs}, Queue(), folder, []
        for nb in nbs: self.todo.put(nb)

    def add_workers(self, n):
        for _ in range(n):
            self.threads.append(threading.Thread(target=self._work, daemon=True))
            self.threads[-1].start()

    def _work(self):
        while True:
            try: nb = self.todo.get_nowait()
            except Empty: return
            try: self.results[nb].set_result(self._run(nb))
            except Exception as e: self.results[nb].set_exception(e)

    def _run(self, nb):
        out = self.folder/name(nb).replace('/', '_')
        p = fork(chapter, nb, out)
        p.join(600)
        if p.exitcode is None:
            p.kill()
            p.join()
        return p.exitcode, out.read_text(errors='replace') if out.exists() else ''

    def end(self):
        with self.todo.mutex: self.todo.queue.clear()
        for t in self.threads: t.join()


@pytest.fixture(scope='session')
def first(chapters):
    "When the first notebook's turn comes, the other tests are done: its processor is free too"
    chapters.add_workers(1)


@pytest.mark.parametrize('nb', sorted(nbglob(CFG.nbs_path, as_path=True)), ids=name)
def test_notebook(nb, chapters, first):
    code, printed = chapters.results[nb].result()
    if code: pytest.fail(printed or f'ended with {code}', pytrace=False)
    print(printed)


TUTORIALS = sorted((CFG.nbs_path/'tutorials').glob('*.ipynb'))


@pytest.mark.parametrize('nb', TUTORIALS, ids=lambda p: p.stem)
def test_tutorial_ends_with_links(nb):
    "Each one ends with three things to try, links to the chapters that explain more, and the next tutorial"
    last = ''.join(json.loads(nb.read_text(encoding='utf-8'))['cells'][-1]['source'])
    assert last.startswith('## To try') and len(re.findall('^- ', last, re.M)) >= 3
    links = re.findall(r'\]\((?!\w+:)([^)#]+)\)', last)
    assert [l for l in links if not (nb.parent/l).exists()] == [] and any(l.startswith('../') for l in links)
    after = TUTORIALS[TUTORIALS.index(nb) + 1:][:1]
    assert all(n.name in links for n in after)


@pytest.mark.parametrize('nb', sorted(nbglob(CFG.nbs_path, as_path=True)), ids=name)
def test_links_lead_to_files(nb):
    "Relative links in the text of a notebook lead to files of the repository"
    text = '\n'.join(''.join(c['source']) for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown')
    links = re.findall(r'\]\((?!\w+:)([^)#\s]+)(?:#[^)]*)?\)', re.sub(r'`[^`]*`|\$[^$]*\$', '', text))
    assert [l for l in links if not (nb.parent/l).exists()] == []


EFFECTS = set('write write_text write_bytes rename replace unlink append extend setdefault pop seek'.split())
UNWANTED = {r'\r(?!\n)': 'a progress bar in all its stages', r'/(?:tmp/tmp|home/|Users/|root/)\w': 'a path of one machine',
            r'object at 0x': 'the address of an object', r'\bon cpu\b.*\bon cpu\b': 'the device twice'}


def faults_of(source, output, tutorial):
    "What a reader should not meet in an output of a cell"
    text = ''.join(map(''.join, [output.get('text', ''), *(v for k, v in output.get('data', {}).items() if k.startswith('text/'))]))
    log = output.get('name') == 'stderr'  # which the site leaves out
    yield from (why for what, why in UNWANTED.items() if re.search(what, text) and not (log and 'path' in why))
    if output['output_type'] == 'error' or log and tutorial: yield 'an error or a warning'
    if output['output_type'] == 'execute_result':
        call = getattr(ast.parse(re.sub(r'^( *)[%!].*$', r'\1pass', source, flags=re.M)).body[-1], 'value', None)
        if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') in EFFECTS: yield 'what a call returns that is made for its effect'


def test_saved_outputs_are_fit_to_read():
    "A progress bar leaves one line with: jupyter nbconvert --to notebook --inplace --coalesce-streams NOTEBOOK; nbdev_clean"
    found = []
    for nb in sorted(nbglob(CFG.nbs_path, as_path=True)):
        for c in json.loads(nb.read_text(encoding='utf-8'))['cells']:
            source = ''.join(c['source'])
            faults = {f for o in c.get('outputs', []) for f in faults_of(source, o, 'tutorials' in nb.parts)}
            found += [f'{name(nb)}: {f}, below {source[:60]!r}' for f in faults]
    assert not found, '\n'.join(found)
