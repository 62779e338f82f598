"What a notebook shows of an error: its message alone if the user can fix it, a traceback if it is a bug"
import json
import subprocess
import sys

CELLS = {
    'ours': "from chatgot.core.presets import load_settings\nload_settings(args=['train.stpes=3'], env={})",
    'a bug': "{}['key']",
    'after': 'print(6*7)',
}
MESSAGE = "ChatGoTError: There is no setting 'train.stpes'. Did you mean 'train.steps'?"


def convert(folder, to, *options):
    "Execute a notebook of these cells with `jupyter nbconvert`, and return what it writes"
    cells = [dict(cell_type='code', id=f'cell-{i}', metadata={}, execution_count=None, outputs=[], source=source)
             for i, source in enumerate(CELLS.values())]
    kernel = dict(name='python3', display_name='Python 3', language='python')
    nb = dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5)
    (folder/'errors.ipynb').write_text(json.dumps(nb))
    return subprocess.run([sys.executable, '-m', 'nbconvert', '--to', to, '--execute', '--stdout', *options, 'errors.ipynb'],
                          cwd=folder, capture_output=True, text=True, timeout=120)


def test_nbconvert_shows_the_message_alone(tmp_path):
    done = convert(tmp_path, 'notebook', '--allow-errors')
    assert done.returncode == 0, done.stderr
    (ours,), (bug,), (after,) = (c['outputs'] for c in json.loads(done.stdout)['cells'])
    assert ours['ename'] == 'ChatGoTError' and ours['traceback'] == [MESSAGE]
    assert bug['ename'] == 'KeyError' and 'Traceback' in ''.join(bug['traceback'])
    assert after['text'] == ['42\n']


def test_nbconvert_stops_with_the_message(tmp_path):
    done = convert(tmp_path, 'markdown')
    assert done.returncode == 1 and MESSAGE in done.stderr
    assert 'presets.py' not in done.stderr and 'errors.py' not in done.stderr
