"""README.md is the front page, nbs/index.ipynb, as Markdown; made without Quarto.

    python docs/nbsite.py --readme         # index.ipynb -> README.md
    python docs/nbsite.py --check-readme   # exit 1 if README.md is not what --readme would write
"""
import posixpath
import re
import sys

from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.process import NBProcessor
from nbdev.processors import add_links, rm_export

cfg = get_config()
README, INDEX = cfg.config_path/'README.md', cfg.nbs_path/'index.ipynb'
SITE = f'{cfg.doc_host}{cfg.doc_baseurl}/'


def page_url(m):
    "A link to `tutorials/01_start.ipynb` becomes `tutorials/start.html` on the site, as nbdev names it"
    folder, file = posixpath.split(m[1].lower())
    return f']({SITE}{posixpath.join(folder, re.sub(r"^[0-9]+[a-z0-9]*_", "", file))}.html'


def markdown(s):
    "Cell text with its links to notebooks and relative pictures leading from README.md to where they are"
    s = re.sub(r'\]\((?!\w+:)([^)#\s]+)\.ipynb', page_url, s)
    return re.sub(r'(!\[[^\]]*\]\()(?!\w+:|/)', rf'\1{cfg.nbs_path.name}/', s)


def fenced(text): return f'```text\n{"".join(text).rstrip()}\n```'


def output(o):
    "One output of a code cell as Markdown"
    if o.output_type == 'stream': return '' if o.name == 'stderr' else fenced(o.text)
    data = o.get('data', {})
    if 'text/markdown' in data: return markdown(''.join(data['text/markdown']))
    if list(data) == ['text/plain']: return fenced(data['text/plain'])
    sys.exit(f'{INDEX.name}: README.md takes text and Markdown, not {", ".join(data) or o.output_type}: '
             f'save a picture under {cfg.nbs_path.name}/, put #| hide in its cell and link the file')


def code(c):
    "A code cell and its outputs, less what `#| echo: false` and `#| output: false` ask to leave out"
    off = {k.rstrip(':') for k, v in c.directives_.items() if v == ['false']}
    src = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M).strip()
    shown = [f'```python\n{src}\n```'] if src and 'echo' not in off else []
    return '\n\n'.join(shown + ([] if 'output' in off else [output(o) for o in c.outputs]))


def readme():
    "The text of README.md: the front page without its hidden cells, nothing run"
    if cfg.lib_name not in NbdevLookup().entries:
        sys.exit(f'{cfg.lib_name} is not installed, so names would not become links: run pip install -e .')
    cells = NBProcessor(INDEX, [rm_export, add_links], process=True).nb.cells
    parts = [code(c) if c.cell_type == 'code' else markdown(c.source) for c in cells]
    made = f'<!-- Made from {cfg.nbs_path.name}/{INDEX.name} by docs/nbsite.py --readme: edit that -->'
    return '\n\n'.join(p.strip() for p in [made, *parts] if p.strip()) + '\n'


if __name__ == '__main__':
    if sys.argv[1:] == ['--readme']: README.write_text(readme(), encoding='utf-8')
    elif sys.argv[1:] != ['--check-readme']: sys.exit(__doc__)
    elif not README.exists() or README.read_text(encoding='utf-8') != readme():
        sys.exit(f'README.md is out of step with {INDEX.name}: run python docs/nbsite.py --readme')
