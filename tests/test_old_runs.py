"""Runs and an export of the version before the rooms (tests/data/old_runs.json says how they were made) go on working:
an interrupted one of the modern family with `train.teach`, a finished one of the gpt2 family with BPE, one with LoRA"""
import json
import shutil
import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).parent/'data'
OLD = json.loads((DATA/'old_runs.json').read_text(encoding='utf-8'))
RUNS = {'modern': ('interrupted', 40), 'gpt2': ('finished', 60), 'lora': ('finished', 30)}


@pytest.fixture(scope='module')
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp('old')
    with tarfile.open(DATA/'old_runs.tar.xz') as t: t.extractall(folder, filter='data')
    return folder


@pytest.fixture
def folder(unpacked, tmp_path, monkeypatch):
    "A copy of the old runs, in which one may write; their settings name the text by its path from here"
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text(model, tok):
    "What a model generates with the options of the expected texts"
    from chatgot.core.settings import SampleSettings
    from chatgot.generate.sampling import sample_settings
    from chatgot.generate.stream import stream
    s = sample_settings(SampleSettings(), **OLD['sampling'])
    return s.prompt + ''.join(c.text for c in stream(model, tok, s.prompt, s))


@pytest.mark.parametrize('name', RUNS)
def test_opens_and_generates_the_same_text(folder, name):
    from chatgot.train.run_folder import Run
    run = Run.open(name)
    assert (run.status, run.metrics[-1]['step']) == RUNS[name]
    assert run.settings.train.distill_weight == dict(modern=.5, gpt2=1, lora=0)[name]  # `train.teach` then
    assert text(run.model(), run.tokenizer) == OLD['generated'][name]


def test_resumes_with_the_same_losses(folder):
    from chatgot.train.run import resume
    from chatgot.train.run_folder import Run
    run = resume(Run.open('modern'))
    assert run.status == 'finished'
    for step, losses in OLD['resumed'].items():
        row = next(m for m in run.metrics if m['step'] == int(step))
        assert {k: row[k] for k in losses} == pytest.approx(losses, rel=1e-4), step


@pytest.mark.parametrize('name', ['gpt2', 'lora'])
def test_branches(folder, name):
    from chatgot.train.run import branch, resume
    from chatgot.train.run_folder import Run
    run = resume(branch(Run.open(name), settings=['train.steps=62']))
    assert (run.status, run.metrics[-1]['step']) == ('finished', 62)


def test_is_evaluated_the_same(folder):
    from chatgot.evaluate.report import evaluate
    from chatgot.train.run_folder import Run
    evaluate(Run.open('gpt2'))
    metrics = json.loads((folder/'runs'/'gpt2'/'evaluation.json').read_text())['metrics']
    assert {k: metrics[k] for k in OLD['evaluated']} == pytest.approx(OLD['evaluated'], rel=1e-4)


def test_exports(folder):
    from chatgot.export.card import export
    from chatgot.models.hf import from_hf
    from chatgot.models.weights import load_weights
    from chatgot.text.tokenizer import load_tokenizer
    from chatgot.train.run_folder import Run
    run = Run.open('gpt2')
    hf, weights = export(run, 'hf', folder/'hf'), export(run, 'safetensors', folder/'safetensors')
    assert (hf/'model.safetensors').read_bytes() == (folder/'exported'/'model.safetensors').read_bytes()
    for model in (from_hf(hf), from_hf(folder/'exported'), load_weights(weights/'model.safetensors')):
        assert text(model.eval(), load_tokenizer(hf/'tokenizer.json')) == OLD['generated']['gpt2']


def test_is_served(folder):
    pytest.importorskip('fastapi')
    pytest.importorskip('httpx')
    from fastapi.testclient import TestClient

    from chatgot.core.settings import ServeSettings
    from chatgot.serve.app import make_app
    from chatgot.train.run_folder import Run
    with TestClient(make_app([Run.open(n) for n in RUNS], ServeSettings()), base_url='http://localhost') as client:
        assert {m['id'] for m in client.get('/v1/models').json()['data']} == {*RUNS}
        for name in RUNS:
            answer = client.post('/v1/completions', json=OLD['request'] | {'model': name}).json()
            assert answer['choices'] == [OLD['served'][name]]
            assert (answer['object'], answer['model']) == ('text_completion', name)
