"The program as a user meets it: typed in a terminal, interrupted, without a network"
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from lab import wait_for_server
from program import cli, fork

CHATGOT = [sys.executable, '-m', 'chatgot']  # the script `chatgot` is tried by .ci/wheel
SMALL = ('--corpus python data.seq_len=32 model.n_layer=1 model.n_embd=32 model.n_head=2 train.batch_size=8 train.device=cpu '
         'train.log_every=5 train.eval_every=50 train.sample_every=100000 train.save_every=20 sample.tokens=20').split()


def start(cwd, *args, **env):
    return subprocess.Popen([*CHATGOT, *args], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env)


def output(process, code):
    "Wait for a program to end with an exit code; what it printed"
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    assert 'Traceback' not in err, err
    return out


def chatgot(cwd, *args, code=0, **env):
    "The same, forked, and waited for"
    for name in ('out', 'err'): (cwd/name).unlink(missing_ok=True)
    p = fork(cli, cwd, args, env)
    p.join(120)
    out, err = ((cwd/name).read_text() for name in ('out', 'err'))
    assert p.exitcode == code and 'Traceback' not in err, out + err
    return err if code else out


def in_terminal(cwd, *args, typed=''):
    "Run a command in a terminal; what that is sent"
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    p, sent = fork(cli, cwd, args, {}, os.ttyname(theirs)), b''
    while p.is_alive() or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], .1)[0]: sent += os.read(ours, 100_000)
    os.close(ours), os.close(theirs)
    assert p.exitcode == 0, sent.decode()
    return sent.decode()


def wait_for(condition, process, seconds=90):
    end = time.time() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.time() < end, 'waited too long'
        time.sleep(.05)


def losses(run): return {r['step']: r['train_loss'] for r in map(json.loads, (run/'metrics.jsonl').read_text().splitlines())}


def test_interrupt_saves_and_resume_continues_exactly(tmp_path):
    p = start(tmp_path, 'train', *SMALL, '--name', 'interrupted', 'train.steps=600')
    run = tmp_path/'runs'/'interrupted'
    wait_for(lambda: (run/'metrics.jsonl').exists() and losses(run), p)
    p.send_signal(signal.SIGINT)
    out = output(p, 130)
    stopped = max(losses(run))
    assert f'saved at step {stopped}' in out and 'chatgot resume interrupted' in out
    assert stopped < 600
    assert 'chatgot generate interrupted' in chatgot(tmp_path, 'resume', 'interrupted')
    chatgot(tmp_path, 'train', *SMALL, '--name', 'whole', 'train.steps=600')
    resumed, whole = losses(run), losses(tmp_path/'runs'/'whole')
    assert max(resumed) == 600 and {k: resumed[k] for k in whole} == whole


def test_steered_from_another_process(tmp_path):
    from chatgot.train.control import send_request
    p, run = start(tmp_path, 'train', *SMALL, '--name', 'far', 'train.steps=100000'), tmp_path/'runs'/'far'
    log = lambda: (run/'run.log').read_text()
    wait_for(lambda: (run/'metrics.jsonl').exists() and losses(run), p)
    send_request(run, 'pause')
    wait_for(lambda: json.loads(log().splitlines()[-1])['message'] == 'paused', p)
    held = max(losses(run))
    time.sleep(1)
    assert max(losses(run)) == held
    send_request(run, 'resume')
    wait_for(lambda: max(losses(run)) > held + 20, p)
    err = chatgot(tmp_path, 'resume', 'far', code=2)
    assert 'is being trained by another process' in err
    send_request(run, 'branch', name='turned', settings=['train.lr=1e-4'])
    wait_for(lambda: (tmp_path/'runs'/'turned'/'run.log').exists() and 'training on' in (tmp_path/'runs'/'turned'/'run.log').read_text(), p)
    send_request(tmp_path/'runs'/'turned', 'stop')
    assert 'chatgot resume turned' in output(p, 130)
    events = [json.loads(l) for l in log().splitlines()]
    assert events[-1]['event'] == 'stopped' and any(e['event'] == 'branched' and e['run'] == 'turned' for e in events if 'event' in e)


def test_no_network_for_a_builtin_text(tmp_path):
    nowhere = {k: 'http://127.0.0.1:9' for k in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY')}
    for name in ('shakespeare', 'tinyshakespeare'):
        err = chatgot(tmp_path, 'train', '--corpus', name, code=2, CHATGOT_CACHE=str(tmp_path/'cache'), PIP_NO_INDEX='1',
                      PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS='', **nowhere)
        assert name in err and len(err.strip().splitlines()) <= 3, err
    assert not (tmp_path/'runs').exists()
    assert not [f for f in (tmp_path/'cache').rglob('*') if f.is_file() and f.suffix != '.lock']


def test_a_terminal_gets_no_control_characters(tmp_path):
    "Text, speakers and names that would clear the screen, set its title, and go back over what was printed"
    attack, name = '\x1b[2J\x1b]0;x\x07\x9b2J\b\r', 'run\x1b[31m\u202e'
    (tmp_path/f'{name}.txt').write_bytes(''.join(f'{n}{attack[:9]}:\n{attack} said {attack}\n\n' for n in ['FOX', 'HEN']*30).encode())
    shown = in_terminal(tmp_path, 'train', *SMALL, '--corpus', f'{name}.txt', '--name', name, 'train.steps=4', 'train.sample_every=2', 'train.eval_every=2', 'sample.prompt=\x1b')
    for args in (['runs'], ['generate', name, '--prompt', '\x1b'], ['chat', name], ['corpus', f'{name}.txt'], ['config', '--corpus', name],
                 ['compare', name, name], ['export', name, '--to', 'safetensors', '--out', f'{name}.exported']):
        shown += in_terminal(tmp_path, *args, typed='said\n\n' if args[0] == 'chat' else '')
    print(shown)
    assert shown.count(r'\x1b') > 20 and r'\u202e' in shown
    # all that is left are line ends and the progress bar's carriage returns
    assert not re.findall('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]', shown)
    piped = chatgot(tmp_path, 'generate', name, '--prompt', '\x1b', '--seed', '1')
    assert piped.startswith('\x1b')  # exact bytes


def test_lab_serves_the_tutorials(tmp_path):
    pytest.importorskip('jupyterlab')
    log = tmp_path/'log'
    with open(log, 'w') as f:
        p = subprocess.Popen([*CHATGOT, 'lab', '--no-browser', '--allow-root', '--ip=127.0.0.1', '--port=0',
                              '--IdentityProvider.token=secret'], cwd=tmp_path, stdout=f, stderr=f)
    try:
        wait_for(lambda: re.search('(http://.*)/lab', log.read_text()), p)
        url = re.search('(http://.*)/lab', log.read_text())[1]
        wait_for_server(url, p, log)
        get = lambda path: urlopen(f'{url}/{path}?token=secret').read().decode()
        names = {f['name'] for f in json.loads(get('api/contents/chatgot-tutorials'))['content']}
        assert names == {p.name for p in (Path(__file__).parents[1]/'nbs'/'tutorials').glob('*.ipynb')}
        assert 'lm_learner' in get('api/contents/chatgot-tutorials/01_quickstart.ipynb')
        assert 'JupyterLab' in get('lab/tree/chatgot-tutorials/01_quickstart.ipynb')
    finally:
        p.terminate()
        p.communicate(timeout=30)
