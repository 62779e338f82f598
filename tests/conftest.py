"Fixtures that several tests share, and the notebooks, which run beside the other tests"
import os

import pytest

from lab import browser, lab, page


def pytest_collection_modifyitems(items):
    items.sort(key=lambda i: i.path.name == 'test_notebooks.py')  # last: by then most are done


@pytest.fixture(scope='session', autouse=True)
def chapters(request, tmp_path_factory):
    "The selected notebooks, running from the start on all processors but one, which is for the other tests"
    from test_notebooks import Chapters
    nbs = [i.callspec.params['nb'] for i in request.session.items if i.originalname == 'test_notebook']
    chapters = Chapters(nbs, tmp_path_factory.mktemp('notebooks'))
    chapters.add_workers(os.cpu_count() - 1)
    yield chapters
    chapters.end()
