"The server from outside: OpenAI's own client, the page in a browser, disconnects, kills, signals"
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

httpx, openai = pytest.importorskip('httpx'), pytest.importorskip('openai')
pytest.importorskip('fastapi')

pytest.importorskip('hypothesis')

import fuzz_http
import served
import soak
from axe import violations
from program import cli, fork
from served import KEY, train_farm, wait_for


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    "A folder with one small run"
    return train_farm(tmp_path_factory.mktemp('serve'))


class Server(served.Server):
    def client(self, **options): return openai.OpenAI(base_url=f'{self.url}/v1', api_key=KEY, **options)


@pytest.fixture(scope='module')
def server(runs):
    s = Server(runs, 'serve.slots=4', 'serve.max_tokens=1000000')
    yield s
    s.stop()


def test_openai_client(server):
    c = server.client()
    assert [m.id for m in c.models.list()] == ['farm'] and c.models.retrieve('farm').id == 'farm'
    params = dict(model='farm', prompt='FOX:\n', max_tokens=20, seed=1)
    completion = c.completions.create(**params, n=2, logprobs=2, echo=True, stop=['zz'])
    assert [x.text[:5] for x in completion.choices] == ['FOX:\n']*2 and completion.usage.completion_tokens == 40
    assert completion.choices[0].logprobs.token_logprobs[0] is None and len(completion.choices[0].logprobs.tokens) == 25
    chunks = list(c.completions.create(**params, stream=True, stream_options={'include_usage': True}))
    assert 'FOX:\n' + ''.join(x.choices[0].text for x in chunks[:-1]) == completion.choices[0].text
    assert chunks[-1].usage.total_tokens == 25


def test_openai_client_chats(server):
    c, turns = server.client(), [{'role': 'system', 'content': 'You are the hen.'}, {'role': 'user', 'content': 'Is the henhouse open?'}]
    params = dict(model='farm', messages=turns, max_tokens=30, seed=1)
    answer = c.chat.completions.create(**params, logprobs=True, top_logprobs=3).choices[0]
    assert answer.message.role == 'assistant' and answer.message.name == 'HEN' and len(answer.logprobs.content[0].top_logprobs) == 3
    assert ''.join(x.choices[0].delta.content for x in c.chat.completions.create(**params, stream=True)) == answer.message.content
    assert c.chat.completions.create(model='farm', messages=[*turns, answer.message, turns[1]], extra_body={'top_k': 3}).choices


def test_openai_client_understands_errors(server):
    c = server.client(max_retries=0)
    with pytest.raises(openai.NotFoundError, match="Did you mean 'farm'"): c.completions.create(model='fram', prompt='FOX')
    with pytest.raises(openai.BadRequestError, match='max_tokens'): c.completions.create(model='farm', prompt='FOX', max_tokens=0)
    with pytest.raises(openai.AuthenticationError): openai.OpenAI(base_url=f'{server.url}/v1', api_key='wrong').models.list()
    wait_for(lambda: json.loads(server.output('out').splitlines()[-1])['status'] == 401, server)  # the response is sent before it is logged
    assert KEY not in server.output('out') and 'henhouse' not in server.output('out')


def test_disconnecting_frees_the_slots(server):
    params = dict(model='farm', prompt='FOX:\n', max_tokens=200_000, n=4)
    def all_free(): return server.metric('chatgot_slots_busy') == 0
    with server.http.stream('POST', '/v1/completions', json=params | {'stream': True}) as r: next(r.iter_lines())
    wait_for(all_free, server)
    with pytest.raises(httpx.ReadTimeout): httpx.post(f'{server.url}/v1/completions', json=params, headers=server.http.headers, timeout=.5)
    wait_for(all_free, server)


def test_keys_are_not_guessed(runs):
    "Two keys a minute, whatever address the client claims to have; each is logged, and who has used a key isn't locked out"
    with Server(runs, 'serve.slots=1', 'serve.key_attempts=2') as server:
        def models(key, i): return httpx.get(f'{server.url}/v1/models', headers={'authorization': f'Bearer {key}', 'x-forwarded-for': f'10.0.0.{i}'}).status_code
        assert [models(key, i) for i, key in enumerate((KEY, 'wrong key', 'another one', served.ADMIN_KEY, KEY))] == [200, 401, 429, 429, 200]
        wait_for(lambda: server.output('out').count('"status": 4') == 3, server)
        assert '10.0.0.' not in server.output('out')


def test_sockets_without_a_key(runs):
    "There may be few of them, and not for long; meanwhile the server answers"
    with Server(runs, 'serve.slots=1', 'serve.client_timeout=1.5') as server:
        before = server.resources()
        sockets = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(100)]
        for s in sockets: s.sendall(fuzz_http.SOCKET(auth=None).data)
        answers = [s.recv(1 << 16).split()[1] for s in sockets]
        assert answers.count(b'101') >= 16 and answers.count(b'429') > 60 and len(set(answers)) == 2
        assert server.http.get('/v1/models').status_code == 200
        for s in sockets:
            while s.recv(1 << 16): pass  # until it is closed
        wait_for(lambda: server.resources()['descriptors'] <= before['descriptors'] + 1, server)


def test_headers_take_no_memory(runs):
    "Twenty clients send as many headers as the server takes"
    with Server(runs, 'serve.slots=1') as server:
        before = server.resources()['memory']
        for _ in range(20):
            with socket.create_connection(('127.0.0.1', server.port)) as s, contextlib.suppress(ConnectionError):
                s.sendall(b'GET / HTTP/1.1\r\n')
                for i in range(2000): s.sendall(b'x-%d: ' % i + b'y'*7000 + b'\r\n')
        assert server.resources()['memory'] < before + 30


def test_fuzzed(runs): fuzz_http.run(96, 7, runs)


def test_soak(runs): soak.run(200, 7, runs)


@pytest.fixture
def open_page(browser):
    "A function that opens the page of a server in a fresh profile; `page.messages` is its console, `page.requests` the addresses it called"
    contexts = []
    def opened(server):
        contexts.append(browser.new_context(viewport={'width': 1200, 'height': 900}, permissions=['clipboard-read', 'clipboard-write']))
        page = contexts[-1].new_page()
        page.messages, page.requests = [], []
        page.on('console', lambda m: page.messages.append(m.text))
        page.on('pageerror', lambda e: page.messages.append(str(e)))
        page.on('request', lambda r: page.requests.append(r.url))
        page.goto(server.url)
        return page
    yield opened
    for c in contexts: c.close()


def use_key(page, key):
    page.get_by_label('API key').fill(key)
    page.get_by_role('button', name='Use key').click()


def write(page, prompt, **settings):
    page.get_by_role('tab', name='Write').click()
    for label, value in settings.items(): page.get_by_label(label, exact=True).fill(value)
    page.get_by_label('Prompt').fill(prompt)
    page.get_by_role('button', name='Write', exact=True).click()


def test_page_writes_and_stops(open_page, server):
    from playwright.sync_api import expect
    page = open_page(server)
    status, out, stop, tokens = page.locator('#status'), page.locator('#text'), page.locator('#write .stop'), page.locator('#text .tok')
    expect(status).to_have_text('This server needs an API key.')
    use_key(page, 'wrong')
    expect(status).to_have_text('This server knows no such API key.')
    use_key(page, KEY)
    expect(page.locator('#about')).to_have_text('step 40, context 64')
    assert all('401' in m for m in page.messages) and len(page.messages) == 2
    page.messages.clear()

    write(page, 'FOX:\nIs the', Tokens='40', Seed='1')
    expect(status).to_contain_text('40 tokens')
    expect(stop).to_be_disabled()
    want = server.client().completions.create(model='farm', prompt='FOX:\nIs the', max_tokens=40, seed=1, temperature=.8, logprobs=5).choices[0]
    assert out.text_content() == 'FOX:\nIs the' + want.text
    tokens.nth(3).hover()
    likeliest, second = sorted(want.logprobs.top_logprobs[3].values())[::-1][:2]
    tip = page.locator('.chatgot-tip')
    expect(tip).to_contain_text(f'{100*2.718281828459**likeliest:.0f} %')
    for _ in range(4): page.locator('#text').press('ArrowRight')
    assert page.locator('#token').text_content().count('%') == 6 and tip.is_visible()
    assert len({t.evaluate('e => e.style.background') for t in tokens.all()}) > 5

    write(page, 'FOX:\n', Tokens='500000')
    expect(tokens.nth(50)).to_be_visible()
    stop.click()
    expect(status).to_contain_text('stopped after')
    n = tokens.count()
    wait_for(lambda: server.metric('chatgot_slots_busy') == 0, server)
    assert tokens.count() == n < 500_000 and not page.messages
    write(page, 'é')
    expect(status).to_contain_text('U+00E9')
    assert {u.removeprefix(server.url) for u in page.requests} == {'/', '/page.js', '/page.css', '/v1/models', '/v1/completions'}


@pytest.fixture(scope='module')
def local(runs):
    "A server without keys"
    with Server(runs, keys='') as s: yield s


def test_page_chats_and_keeps(open_page, local):
    "Conversations and texts are there after a reload, until they are deleted; nothing but requests leaves the browser"
    from playwright.sync_api import expect
    page = open_page(local)
    expect(page.locator('#turns')).to_have_attribute('data-hint', 'No messages yet. You are HEN; FOX answers.')
    assert not page.get_by_label('API key').is_visible()
    page.get_by_label('With').select_option('HEN')
    expect(page.get_by_label('You are')).to_have_value('FOX')
    bubbles, kept = page.locator('.bubble'), page.locator('#kept li')
    page.get_by_label('Seed').fill('1')
    page.get_by_label('Your message').fill('Is the henhouse open?')
    page.keyboard.press('Enter')
    expect(bubbles).to_have_count(2)
    expect(kept).to_have_count(1)
    turns = [{'role': 'user', 'name': 'FOX', 'content': 'Is the henhouse open?'}]
    want = local.client().chat.completions.create(model='farm', messages=turns, max_tokens=300, temperature=.8, seed=1, extra_body={'character': 'HEN'})
    assert bubbles.nth(1).text_content() == 'HEN' + want.choices[0].message.content.strip()
    write(page, 'FOX:\n', Tokens='20')
    expect(page.locator('#status')).to_contain_text('20 tokens')
    page.get_by_role('button', name='Go on').click()
    expect(kept).to_have_count(2)
    expect(page.locator('#text .tok')).to_have_count(20)
    before = page.locator('#text').text_content()

    page.reload()
    expect(page.get_by_role('tab', name='Write')).to_have_attribute('aria-selected', 'true')
    kept.first.get_by_role('button').first.click()
    assert page.locator('#text').text_content() == before
    kept.first.get_by_role('button', name='Delete').click()
    expect(kept).to_have_count(1)
    page.get_by_role('tab', name='Write').press('ArrowLeft')
    kept.first.get_by_role('button').first.click()
    expect(bubbles).to_have_count(2)
    expect(page.get_by_label('With')).to_have_value('HEN')
    page.get_by_role('button', name='Delete all').click()
    page.reload()
    expect(page.locator('#about')).to_contain_text('step')
    assert kept.count() == 0 and 'henhouse' not in page.evaluate('JSON.stringify(localStorage)') and not page.messages


def test_page_copies_requests(open_page, local, server, tmp_path):
    "Each snippet is run as it was copied, and prints what the page shows; the key isn't in it"
    from playwright.sync_api import expect
    page = open_page(server)
    use_key(page, KEY)
    def copied(name):
        page.get_by_role('button', name=name, exact=True).click()
        expect(page.locator('#status')).to_contain_text('Copied. It takes the key')
        return page.evaluate('navigator.clipboard.readText()')
    def printed(snippet, *command):
        r = subprocess.run([*command, snippet], capture_output=True, text=True, env=os.environ | {'CHATGOT_KEY': KEY}, timeout=60)
        assert r.returncode == 0 and KEY not in snippet, r.stderr
        return r.stdout.removesuffix('\n')
    page.get_by_label('Your message').fill('Is the henhouse open?')
    page.get_by_label('Seed').fill('3')
    page.keyboard.press('Enter')
    want = [printed(copied('openai'), sys.executable, '-c'), printed(copied('Python'), sys.executable, '-c')]
    page.locator('#say textarea').press('Enter')
    expect(page.locator('#kept li')).to_have_count(1)
    assert {w.strip() for w in want} == {page.locator('.bubble span').nth(1).text_content()}
    write(page, 'FOX:\nIs the', Tokens='20', **{'Top-k': '3', 'Min-p': '0.01'})
    expect(page.locator('#write .stop')).to_be_disabled()
    texts = [printed(copied(name), sys.executable, '-c') for name in ('openai', 'Python')]
    if shutil.which('curl'): texts.append(json.loads(printed(copied('curl'), 'sh', '-c'))['choices'][0]['text'])
    assert {'FOX:\nIs the' + t for t in texts} == {page.locator('#text').text_content()}


def test_page_fits_and_can_be_read(open_page, local, tmp_path):
    "Both themes, two widths, and axe-core"
    from playwright.sync_api import expect
    page = open_page(local)
    page.get_by_label('Your message').fill('o'*200)
    page.keyboard.press('Enter')
    expect(page.locator('#kept li')).to_have_count(1)
    write(page, 'HEN:\n' + 'o'*200, Tokens='150')
    expect(page.locator('#status')).to_contain_text('150 tokens')
    colors, found = set(), []
    for theme in ('light', 'dark'):
        page.emulate_media(color_scheme=theme)
        colors.add(page.evaluate('getComputedStyle(document.body).color'))
        for width in (1200, 420):
            page.set_viewport_size({'width': width, 'height': 800})
            for tab in ('Write', 'Chat'):
                page.get_by_role('tab', name=tab).click()
                page.screenshot(path=tmp_path/f'{theme}_{width}_{tab}.png')
                assert page.evaluate('document.documentElement.scrollWidth') <= width
                if width == 420: found += violations(page)
    assert len(colors) == 2 and found == []


def test_killed_under_load_and_restarted(server, runs):
    "The restart is what compose's restart rule does; then a SIGTERM, which lets texts finish. The last test of `server`"
    events, finish_reasons = [], []
    def stream_endlessly():
        try:
            for _ in server.client(max_retries=0).completions.create(model='farm', prompt='FOX:\n', max_tokens=100_000, stream=True): events.append('chunk')
        except (openai.APIError, httpx.HTTPError) as e: events.append(e)
    threads = [threading.Thread(target=stream_endlessly) for _ in range(8)]
    for t in threads: t.start()
    wait_for(lambda: server.metric('chatgot_slots_busy') == 4 == server.metric('chatgot_queue'), server)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    for t in threads: t.join(10)
    assert not any(t.is_alive() for t in threads) and sum(x != 'chunk' for x in events) == 8

    restarted = Server(runs, port=server.port)
    assert restarted.client().completions.create(model='farm', prompt='FOX:\n', max_tokens=5).usage.completion_tokens == 5
    def complete(stream):
        r = restarted.client(max_retries=0).completions.create(model='farm', prompt='FOX:\n', max_tokens=1500, stream=stream)
        finish_reasons.append((list(r)[-1] if stream else r).choices[0].finish_reason)
    threads = [threading.Thread(target=complete, args=(k % 2 == 0,)) for k in range(4)]
    for t in threads: t.start()
    wait_for(lambda: restarted.metric('chatgot_slots_busy') == 4, restarted)
    restarted.process.terminate()
    for t in threads: t.join(30)
    assert finish_reasons == ['length']*4
    assert restarted.stop() == 0
    with pytest.raises(httpx.ConnectError): restarted.http.get('/health/live')


@pytest.mark.parametrize('signum, code', [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals(runs, signum, code):
    "While idle, and while streaming: the stream ends with its last chunk"
    idle = Server(runs)
    assert idle.stop(signum) == code
    assert 'Traceback' not in idle.output()

    busy = Server(runs)
    with busy.http.stream('POST', '/v1/completions', json=dict(model='farm', prompt='FOX:\n', max_tokens=1500, stream=True)) as r:
        lines = (line for line in r.iter_lines() if line)
        first = json.loads(next(lines)[6:])
        os.kill(busy.process.pid, signum)
        *_, last, done = lines
    assert first['choices'][0]['finish_reason'] is None and json.loads(last[6:])['choices'][0]['finish_reason'] == 'length'
    assert done == 'data: [DONE]'
    busy.process.join(30)
    assert busy.process.exitcode == code and 'Traceback' not in busy.output()


def test_sigterm_while_starting(runs):
    "Between the first line of output and the first request, when uvicorn may or may not have its handlers yet"
    assert Server(runs, wait_ready=False).stop() == 0


def test_refuses_a_public_address_without_keys(runs):
    p = fork(cli, runs, ('serve', 'farm', '--host', '0.0.0.0'), {})
    p.join()
    err = (runs/'err').read_text()
    assert p.exitcode == 2 and 'no key is set' in err and 'Traceback' not in err
