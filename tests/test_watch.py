"`chatgot watch` from outside: a run that trains in another process, watched, paused and stopped in a real browser; keys, origins and names over the wire"
import json
import os
import re
import signal
import socket
import time
from types import SimpleNamespace

import pytest

httpx = pytest.importorskip('httpx')
pytest.importorskip('fastapi')
pytest.importorskip('playwright')
from playwright.sync_api import expect

from axe import violations
from program import cli, fork
from served import FARM, KEY, SMALL


def wait_for(condition, process, folder, seconds=60):
    end = time.time() + seconds
    while not (result := condition()):
        assert process.is_alive() and time.time() < end, (folder/'err').read_text()
        time.sleep(.02)
    return result


@pytest.fixture
def start_watch(root, tmp_path):
    "A function that starts `chatgot watch` on a free port: its process, address and folder, where it writes `out` and `err`"
    processes = []
    def start(*args):
        processes.append(p := fork(cli, tmp_path, ('watch', '--out', str(root.path/'runs'), '--port', '0', *args), {}))
        output = lambda: (tmp_path/'err').read_text() if (tmp_path/'err').exists() else ''
        url = wait_for(lambda: re.search(r'http://\S+', output()), p, tmp_path)[0]
        return SimpleNamespace(process=p, url=url, port=int(url.rpartition(':')[2]), folder=tmp_path)
    yield start
    for p in processes:
        p.kill()
        p.join()


def end(watch, signum=signal.SIGTERM):
    "The exit code"
    if watch.process.is_alive(): os.kill(watch.process.pid, signum)
    watch.process.join(30)
    assert 'Traceback' not in (watch.folder/'err').read_text() + (watch.folder/'out').read_text()
    return watch.process.exitcode


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    "A folder with a run that trains for as long as it is let, as if typed in a terminal: `root.training` is its process"
    root = tmp_path_factory.mktemp('watch')
    (root/'farm.txt').write_text(FARM)
    (root/'train').mkdir()
    settings = [s for s in SMALL if 'steps' not in s] + ['train.steps=1000000', 'train.eval_every=200', 'train.log_every=5']
    p = fork(cli, root/'train', ('train', '--corpus', str(root/'farm.txt'), '--name', 'farm', '--out', str(root/'runs'), *settings), {})
    metrics = root/'runs'/'farm'/'metrics.jsonl'
    wait_for(lambda: metrics.exists() and 'val_loss' in metrics.read_text(), p, root/'train')
    yield SimpleNamespace(path=root, training=p)
    p.kill()
    p.join()


def events(root): return [json.loads(line)['message'] for line in (root/'runs'/'farm'/'run.log').read_text().splitlines()]


def test_watch_and_steer_a_run(root, start_watch, page, tmp_path):
    watch = start_watch()
    errors = []
    page.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: errors.append(str(e)))
    page.goto(watch.url)
    row = page.locator('#list tbody tr')
    expect(row.locator('.state')).to_have_text('running')
    expect(row.locator('.spark')).to_be_visible()
    for text in ('farm.txt', 'of 1,000,000', 'kB'): expect(row).to_contain_text(text)
    step = row.locator('td').nth(4)
    before = step.text_content()
    expect(step).not_to_have_text(before)  # by itself
    found = violations(page)
    page.screenshot(path=tmp_path/'list.png')

    row.get_by_role('link', name='farm').click()
    dash, other = page.locator('.dash'), page.context.new_page()
    expect(dash.locator('.state')).to_have_text('running')
    expect(dash.locator('.chart canvas').first).to_be_visible()
    other.goto(page.url)
    dash.get_by_role('button', name='Pause').click()
    for p in (page, other): expect(p.locator('.dash .state')).to_have_text('paused')
    assert events(root.path)[-1] == 'paused'
    metrics = (root.path/'runs'/'farm'/'metrics.jsonl').read_text()
    page.set_viewport_size({'width': 420, 'height': 900})
    page.emulate_media(color_scheme='dark')
    assert page.evaluate('document.documentElement.scrollWidth') <= 420
    page.screenshot(path=tmp_path/'paused_phone.png')
    assert (root.path/'runs'/'farm'/'metrics.jsonl').read_text() == metrics and root.training.is_alive()

    other.get_by_role('button', name='Stop', exact=True).click()
    expect(dash.locator('.state')).to_have_text('interrupted')
    root.training.join(30)
    assert root.training.exitcode == 130 and events(root.path)[-1].startswith('stopped')
    dash.get_by_role('button', name='Go on …').click()
    expect(page.locator('.command').first).to_have_text(f"chatgot resume {root.path/'runs'/'farm'}")
    page.get_by_role('link', name='All runs').click()
    expect(row.locator('.state')).to_have_text('interrupted')
    assert page.evaluate('document.documentElement.scrollWidth') <= 420
    page.screenshot(path=tmp_path/'list_phone.png')
    assert found + violations(page) == [] and errors == []
    assert end(watch, signal.SIGINT) == 130


def handshake(watch, path, **headers):
    "The status of a WebSocket's handshake, asked for with exactly these bytes"
    lines = [f'GET {path} HTTP/1.1', f'Host: 127.0.0.1:{watch.port}', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
             'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', *(f'{k}: {v}' for k, v in headers.items())]
    with socket.create_connection(('127.0.0.1', watch.port), 10) as s:
        s.sendall('\r\n'.join([*lines, '', '']).encode())
        return int(s.recv(4096).split()[1])


def test_other_machines_need_a_key(root, start_watch, page):
    p = fork(cli, root.path/'train', ('watch', '--host', '0.0.0.0', '--port', '0'), {})
    p.join()
    assert p.exitcode == 2 and 'no key is set' in (root.path/'train'/'err').read_text()

    watch = start_watch('--host', '0.0.0.0', '--key', KEY)
    url = f'http://127.0.0.1:{watch.port}'
    with httpx.Client(base_url=url) as c:
        status = lambda path, key='': c.get(path, headers={'authorization': f'Bearer {key}'} if key else {}).status_code
        assert [status('/runs'), status('/runs', 'wrong key'), status('/run/farm'), status('/runs', KEY), status('/')] == [401, 401, 401, 200, 200]
        login = c.post('/session', headers={'authorization': f'Bearer {KEY}'})
        set_cookie, cookie = login.headers['set-cookie'], '='.join(*c.cookies.items())
    assert KEY not in set_cookie and 'HttpOnly' in set_cookie and 'SameSite=strict' in set_cookie
    bearer = {'Authorization': f'Bearer {KEY}'}
    assert [handshake(watch, '/runs'), handshake(watch, '/run/farm', Cookie='chatgot-watch=guess'), handshake(watch, '/run/farm', Authorization='Bearer wrong key')] == [401]*3
    assert [handshake(watch, path, Cookie=cookie) for path in ('/runs', '/run/farm')] == [101, 101]
    assert [handshake(watch, '/run/farm', Cookie=cookie, Origin=o) for o in ('https://evil.example', 'null', url)] == [403, 403, 101]
    # names are only looked up
    names = '../runs/farm', '..%2Fruns%2Ffarm', '..', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', str(root.path/'runs'/'farm'), 'farm/../farm', 'farm%00', 'fram'
    assert {handshake(watch, f'/run/{name}', **bearer) for name in names} == {404}
    for name in names:
        with socket.create_connection(('127.0.0.1', watch.port), 10) as s:
            s.sendall(f'GET /run/{name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n'.encode())
            assert s.recv(4096).split()[1] == b'404', name

    page.goto(f'{url}/#farm')
    page.get_by_label('Key').fill('wrong key')
    page.get_by_role('button', name='Log in').click()
    expect(page.locator('#note')).to_have_text('This is not a key of this server.')
    assert page.locator('.dash').count() == 0
    page.get_by_label('Key').fill(KEY)
    page.get_by_role('button', name='Log in').click()
    expect(page.locator('.dash .name')).to_have_text('farm')
    page.get_by_role('button', name='Log out').click()
    expect(page.get_by_label('Key')).to_be_visible()
    page.reload()
    expect(page.get_by_label('Key')).to_be_visible()
    assert KEY not in (watch.folder/'out').read_text() + (watch.folder/'err').read_text()
    assert end(watch) == 0
