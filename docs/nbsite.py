"""The documentation site and README.md, both made from the notebooks and their saved outputs, without Quarto.

    python docs/nbsite.py                  # notebooks -> _proc/ (pages for Sphinx) -> _docs/, every link checked
    python docs/nbsite.py --readme         # index.ipynb -> README.md
    python docs/nbsite.py --check-readme   # exit 1 if README.md is not what --readme would write
"""
import ast
import base64
import io
import json
import posixpath
import re
import sys
from html import escape
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from fastcore.basics import AttrDict
from fastcore.foundation import L
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup, nbglob, patch_name
from nbdev.process import NBProcessor
from nbdev.processors import add_links, hide_, hide_line, rm_export, strip_ansi
from PIL import Image

from chatgot import ROOMS

cfg, HERE = get_config(), Path(__file__).parent
NBS, README, STAGED, BUILT = cfg.nbs_path, cfg.config_path/'README.md', cfg.config_path/'_proc', cfg.config_path/cfg.doc_path
INDEX, SITE = NBS/'index.ipynb', f'{cfg.doc_host}{cfg.doc_baseurl}/'
TITLES = {'cli': 'Command line'}  # of rooms whose name is not their title
DEFS = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
TAGS = {'echo: false': 'remove-input', 'output: false': 'remove-output', 'code-fold: true': 'hide-input'}
LINK = re.compile(r'(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()#\s]*)(#[^()\s]*)?\)')


# Names and links

def page_name(path):
    "`text/02_corpus.ipynb` is the page `text/corpus`, as nbdev names it"
    folder, file = posixpath.split(str(path).lower().removesuffix('.ipynb'))
    return posixpath.join(folder, re.sub(r'^[0-9]+[a-z0-9]*_', '', file))


def relink(s, folder, to):
    "Let links of a text in `nbs/folder` that lead to a page of the site lead to `to(page)`"
    def link(m):
        text, url, fragment = m[1], m[2], m[3] or ''
        if url.startswith(SITE): page = url.removeprefix(SITE).removesuffix('.html') or 'index'
        elif url.endswith('.ipynb') and ':' not in url: page = page_name(posixpath.normpath(posixpath.join(folder, url)))
        else: return m[0]
        return f'[{text}]({to(page)}{fragment})'
    return LINK.sub(link, s)


def off(c):
    "What `#| echo: false` and similar directives leave out of a cell"
    return {TAGS[d] for k, v in c.directives_.items() if (d := f'{k} {" ".join(v)}') in TAGS}


def code(c): return re.sub(r'^#\|.*\n?', '', c.source, flags=re.M).strip()


# README.md

def readme_markdown(s):
    "Text with its links leading to the site, and its pictures to where they lie from README.md"
    s = relink(s, '', lambda page: f'{SITE}{page}.html')
    return re.sub(r'(!\[[^\]]*\]\(|src(?:set)?=")(?!\w+:|/)', rf'\1{NBS.name}/', s)


def readme_output(o):
    "One output of a code cell as Markdown"
    fenced = lambda text: f'```text\n{"".join(text).rstrip()}\n```'
    if o.output_type == 'stream': return '' if o.name == 'stderr' else fenced(o.text)
    data = o.get('data', {})
    if 'text/markdown' in data: return readme_markdown(''.join(data['text/markdown']))
    if list(data) == ['text/plain']: return fenced(data['text/plain'])
    sys.exit(f'{INDEX.name}: README.md takes text and Markdown, not {", ".join(data) or o.output_type}: '
             f'save a picture under {NBS.name}/, put #| hide in its cell and link the file')


def readme_code(c):
    "A code cell and its outputs"
    shown = [f'```python\n{code(c)}\n```'] if code(c) and 'remove-input' not in off(c) else []
    return '\n\n'.join(shown + ([] if 'remove-output' in off(c) else [readme_output(o) for o in c.outputs]))


def readme():
    "The text of README.md: the front page without its hidden cells, nothing run"
    cells = NBProcessor(INDEX, [rm_export, add_links], process=True).nb.cells
    blocks = [readme_code(c) if c.cell_type == 'code' else readme_markdown(c.source) for c in cells]
    made = f'<!-- Made from {NBS.name}/{INDEX.name} by docs/nbsite.py --readme: edit that -->'
    return '\n\n'.join(p.strip() for p in [made, *blocks] if p.strip()) + '\n'


# Pages

def markdown_cell(source): return {'cell_type': 'markdown', 'metadata': {}, 'source': source}


def code_cell(source, outputs=(), tags=(), **mystnb):
    return {'cell_type': 'code', 'metadata': {'tags': [*tags], 'mystnb': mystnb},
            'source': source, 'outputs': [*outputs], 'execution_count': None}


def notebook(cells):
    "Text of a notebook for Sphinx"
    lexer = {'language_info': {'name': 'python', 'pygments_lexer': 'ipython3'}}
    return json.dumps({'nbformat': 4, 'nbformat_minor': 4, 'metadata': lexer, 'cells': [*cells]})


def elsewhere(path):
    "Links that open a notebook with nothing installed"
    repo, file = cfg.git_url.removeprefix('https://github.com/'), f'{NBS.name}/{path}'
    colab = f'https://colab.research.google.com/github/{repo}/blob/{cfg.branch}/{file}'
    return (f'{{.elsewhere}}\n[Open in Colab]({colab}) '
            f'[Open in Binder](https://mybinder.org/v2/gh/{repo}/{cfg.branch}?urlpath=lab/tree/{file})')


def defined(c):
    "What a cell defines: functions and classes by name, `Class.method` for what it adds to a class"
    return {n: o for o in ast.parse(c.source).body if isinstance(o, DEFS) for n in L(patch_name(o))}


def public(name): return not any(part.startswith('_') for part in name.split('.'))


def signature(o, lines):
    "The lines of a function before its body, as they are written, with the comments on its parameters"
    start, first = min(d.lineno for d in [o, *o.decorator_list]) - 1, o.body[0]
    *before, last = lines[start:first.lineno]
    return '\n'.join([*before, last.encode()[:first.col_offset].decode()]).rstrip()


def skeleton(o, lines):
    "A class with its fields and its public methods, less their bodies"
    yield f'class {o.name}({", ".join(map(ast.unparse, o.bases))}):'.replace('()', '')
    for b in o.body:
        if isinstance(b, ast.AnnAssign): yield from lines[b.lineno - 1:b.end_lineno]
        elif isinstance(b, DEFS) and (b.name[0] != '_' or b.name == '__init__'):
            yield '\n' + signature(b, lines)
            if ast.get_docstring(b): yield from lines[b.body[0].lineno - 1:b.body[0].end_lineno]


def documented(name, o, source):
    "A heading, which conf.py makes an anchor and an entry of the search, then what is to be known of a function or class"
    lines, kind = source.splitlines(), 'class' if isinstance(o, ast.ClassDef) else 'method' if '.' in name else 'function'
    o.decorator_list = []
    shape = '\n'.join(skeleton(o, lines)) if kind == 'class' else signature(o, lines)
    docstring = NbdevLookup().linkify(ast.get_docstring(o) or '') or ''
    return f'{{.{kind}}}\n### `{name}`\n\n{docstring}\n\n```python\n{shape}\n```'


class Chapter:
    "A notebook to become a page"
    pages = []

    def __init__(self, path):
        self.path, self.source = path.relative_to(NBS).as_posix(), path.relative_to(cfg.config_path).as_posix()
        self.name, self.folder = page_name(self.path), posixpath.dirname(self.path)
        self.cells = NBProcessor(path, [strip_ansi, hide_line, hide_, add_links], process=True).nb.cells
        exp = [c.directives_['default_exp'][0] for c in self.cells if c.cell_type == 'code' and 'default_exp' in c.directives_]
        self.module = f'{cfg.lib_name}.{exp[0]}' if exp else None
        indexed = NbdevLookup().entries[cfg.lib_name]['syms'].get(self.module, {})
        self.symbols = [s.removeprefix(f'{self.module}.') for s in indexed]
        self.exported = [c for c in self.cells if c.cell_type == 'code' and {'export', 'exporti'} & c.directives_.keys()]
        head = re.match(r'# (.+)\s+(?:> (.+))?', self.cells[0].source)
        self.title, self.summary = head[1].strip(), head[2] or ''

    @property
    def number(self): return int(re.match(r'[0-9]*', posixpath.basename(self.path))[0] or 0)

    def markdown(self, s): return relink(s, self.folder, lambda page: url(page, self.folder))

    def export(self, c):
        "An exported cell: what is public documented, the source folded, an anchor for every other name"
        everywhere = {n for e in self.exported for n in defined(e)}
        shown = {n: o for n, o in defined(c).items() if public(n) and 'export' in c.directives_}
        for n, o in shown.items(): yield markdown_cell(self.markdown(documented(n, o, c.source)))
        inside = [s for s in self.symbols for n in defined(c) if s == n or (s.startswith(n + '.') and s not in everywhere)]
        if anchors := [s for s in inside if s not in shown]:
            yield markdown_cell('\n'.join(f'<div id="{s.lower()}"></div>' for s in anchors))
        if not all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in ast.parse(c.source).body):
            yield code_cell(c.source.strip(), tags=['hide-input'], code_prompt_show='Source', code_prompt_hide='Source')

    def output(self, o):
        "An output that needs neither kernel nor network: a widget gives way to its picture, text on stderr to nothing"
        if o.get('name') == 'stderr': return None
        data = {k: v for k, v in o.get('data', {}).items() if 'widget' not in k}
        if data.keys() != o.get('data', {}).keys() and data.keys() <= {'text/plain'}: return None
        if 'text/markdown' in data: data['text/markdown'] = self.markdown(NbdevLookup().linkify(''.join(data['text/markdown'])))
        return {**o, 'data': data} if 'data' in o else o

    def staged(self):
        "File name and text for Sphinx"
        return f'{self.name}.ipynb', notebook(self.page_cells())

    def exhibits(self):
        "Outputs to show elsewhere too, by the caption that `#| card: …` gives them"
        return {' '.join(c.directives_['card:']): [*filter(None, map(self.output, c.outputs))] for c in self.cells if 'card:' in c.directives_}

    def page_cells(self):
        "What is shown of it"
        yield markdown_cell(f'# {self.title}' + (f'\n\n{{.lead}}\n{self.markdown(self.summary)}' if self.summary else ''))
        if self.folder == 'tutorials': yield markdown_cell(elsewhere(self.path))
        first = re.sub(r'^# .+\s+(?:> .+)?', '', self.cells[0].source)
        if first.strip(): yield markdown_cell(self.markdown(first))
        for c in self.cells[1:]:
            if c.cell_type == 'markdown': yield markdown_cell(self.markdown(c.source))
            elif c in self.exported: yield from self.export(c)
            elif 'default_exp' not in c.directives_ and c.source.strip():
                yield code_cell(code(c), filter(None, map(self.output, c.outputs)), off(c))


def url(page, folder=''): return posixpath.relpath(page, folder or '.') + '.html'


class Text(NamedTuple):
    "A page of Markdown"
    name: str
    title: str
    text: str
    source: str = 'docs/nbsite.py'
    summary: str = ''
    pages: list = []

    def staged(self): return f'{self.name}.md', self.text


def toctree(pages): return '\n'.join(['```{toctree}', ':hidden:', '', *(f'/{p.name}' for p in pages), '```'])


def listed(pages, folder, indent=''):
    "Links to pages, and below each of them to its own"
    for p in pages:
        yield f'{indent}- [{p.title}]({url(p.name, folder)})' + (f': {p.summary}' if p.summary else '')
        yield from listed(p.pages, folder, indent + '  ')


def contents(name, title, about, pages, more=''):
    "A page that leads to others, in order"
    links = '\n'.join(listed(pages, posixpath.dirname(name)))
    return Text(name, title, '\n\n'.join([f'# {title}', about, links, more, toctree(pages)]) + '\n', pages=pages)


def preview(output):
    "A small form of an output, for a card"
    data = output.get('data', {'text/plain': output.get('text', '')})
    if 'text/html' in data: return ''.join(data['text/html'])
    if 'image/png' not in data: return f'<pre>{escape("".join(data["text/plain"]).strip()[:600])}</pre>'
    picture = Image.open(io.BytesIO(base64.b64decode(''.join(data['image/png'])))).convert('RGB')
    picture.thumbnail((440, 440))
    picture.save(out := io.BytesIO(), 'webp', quality=80)
    return f'<img alt="" src="data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}">'


def card(p, folder):
    "A link to a tutorial with a picture of what comes out of it, which a screen reader skips"
    outputs = next(iter(p.exhibits().values()), [])
    picture = f'<div class="preview" aria-hidden="true" inert>{preview(outputs[-1])}</div>' if outputs else ''
    # a blank line would end the HTML
    picture = picture.replace('\n', '&#10;')
    return f'<li>{picture}<a href="{url(p.name, folder)}">{escape(p.title)}</a><p>{escape(p.summary)}</p></li>'


def cards(name, title, about, pages, more):
    "A page that leads to tutorials, with a card for each"
    shown = ''.join(card(p, posixpath.dirname(name)) for p in pages)
    return Text(name, title, f'# {title}\n\n{about}\n\n<ol class="cards">{shown}</ol>\n\n{toctree([*pages, *more])}\n', pages=pages)


class Gallery(NamedTuple):
    "Saved outputs of tutorials, one below the other"
    name: str
    title: str
    about: str
    tutorials: list
    source: str = 'docs/nbsite.py'
    summary: str = ''
    pages: list = []

    def cells(self):
        yield markdown_cell(f'# {self.title}\n\n{self.about}')
        for p in self.tutorials:
            for caption, outputs in p.exhibits().items():
                yield markdown_cell(f'## {caption}\n\nFrom [{p.title}]({url(p.name, posixpath.dirname(self.name))}): {p.summary.rstrip(".")}.')
                yield code_cell(f'# {caption}', outputs, ['remove-input'])  # without a source there would be no outputs

    def staged(self): return f'{self.name}.ipynb', notebook(self.cells())


def text_page(path, pages=[]):
    "A Markdown file of the repository"
    text = path.read_text(encoding='utf-8')
    title, source = re.match('# (.*)', text)[1], path.relative_to(cfg.config_path).as_posix()
    return Text(path.stem.lower(), title, f'{text}\n{toctree(pages)}\n' if pages else text, source)


def room(folder, pages, front):
    "A folder of chapters, described by its row of the front page's table"
    row = re.search(rf'^\| \[{folder}\]\([^)]*\) \| (.*) \|$', front, re.M)
    return contents(f'{folder}/index', TITLES.get(folder, folder.capitalize()), relink(row[1], '', lambda p: url(p, folder)) if row else '', pages)


def names(chapters):
    "Every public function and class, chapter by chapter, with the first line of its docstring"
    for p in chapters:
        cells = [defined(c) for c in p.exported if 'export' in c.directives_]
        found = {n: o for cell in cells for n, o in cell.items() if public(n) and '.' not in n}
        if found: yield f'\n## `{p.module}`\n'
        for n, o in found.items():
            yield f'- [`{n}`]({p.name}.html#{n.lower()}): {(ast.get_docstring(o) or " ").splitlines()[0]}'.rstrip(': ')


def curated(chapters):
    "The names of `from chatgot.all import *`, each with the first line of its docstring"
    source = '\n'.join(c.source for p in chapters if p.module == f'{cfg.lib_name}.all' for c in p.exported)
    modules = {a.name: n.module for n in ast.parse(source).body if isinstance(n, ast.ImportFrom) for a in n.names}
    yield f'\n## `from {cfg.lib_name}.all import *`\n'
    for name, module in sorted(modules.items(), key=lambda i: i[0].lower()):
        # where it is defined, if that module only passes it on
        p, o = next((p, d[name]) for p in sorted(chapters, key=lambda p: p.module != module) for d in map(defined, p.exported) if name in d)
        yield f'- [`{name}`]({p.name}.html#{name.lower()}): {ast.get_docstring(o).splitlines()[0]}'


def site():
    "All pages: tutorials, the rooms in the order of their imports, benchmarks, reference; numbers give the order inside a folder"
    order = ['tutorials', *ROOMS, 'reference']
    chapters = sorted(map(Chapter, set(nbglob(NBS, as_path=True)) - {INDEX}), key=lambda p: (order.index(p.folder), p.number, p.path))
    folders = {folder: [*group] for folder, group in groupby(chapters, lambda p: p.folder)}
    front = Chapter(INDEX)
    table = '\n'.join(c.source for c in front.cells)
    rooms = [room(folder, folders[folder], table) for folder in ROOMS if folder in folders and folder != 'bench']
    changes = text_page(cfg.config_path/'CHANGELOG.md')
    gallery = Gallery('tutorials/gallery', 'What can you make?', 'Outputs of the tutorials as they were saved, none of them improved: '
                      'small models that trained for seconds to minutes on two CPU cores. Yours can have more time.', folders['tutorials'])
    about = f'Notebooks to run and to change, here or with nothing installed. [What can you make?]({url(gallery.name, "tutorials")}) shows what comes out of them.'
    sections = [
        text_page(HERE/'start.md'),
        cards('tutorials/index', 'Tutorials', about, folders['tutorials'], [gallery]),
        contents('chapters', 'How it works', 'Each module explains, shows and tests itself. In reading order:', rooms),
        contents('bench/index', 'Benchmarks', 'What was measured, and how to measure it again.', folders['bench']),
        contents('reference', 'Reference', 'Settings, and every public name.', folders['reference'], '\n'.join([*curated(chapters), *names(chapters)])),
        text_page(cfg.config_path/'CONTRIBUTING.md', [changes]),
    ]
    front.cells.append(AttrDict(cell_type='markdown', source=toctree(sections)))
    return [front, *chapters, gallery, *rooms, *sections, changes]


def write(pages):
    "What Sphinx reads, in _proc/; what did not change is left alone, so that Sphinx leaves it alone too"
    files = {name: text.encode() for name, text in (p.staged() for p in pages)}
    files |= {f'extra/{p.relative_to(NBS).as_posix()}': p.read_bytes() for p in (NBS/'images').iterdir()}  # html_extra_path
    files['sources.json'] = json.dumps({p.name: p.source for p in pages}).encode()
    for p in STAGED.rglob('*'):
        if p.is_file() and p.relative_to(STAGED).as_posix() not in files and '.doctrees' not in p.parts: p.unlink()
    for name, data in files.items():
        path = STAGED/name
        if path.exists() and path.read_bytes() == data: continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# Links

def broken(built):
    "Broken links, and what a page would load from another host"
    from bs4 import BeautifulSoup
    files = [p for p in built.rglob('*.html') if '_static' not in p.parts]
    pages = {p: BeautifulSoup(p.read_text(encoding='utf-8'), 'html.parser') for p in files}
    ids = {p: {e['id'] for e in html.select('[id]')} for p, html in pages.items()}
    for page, html in pages.items():
        for e in html.select('a[href], link[rel=stylesheet], link[rel=icon], script[src], img[src], iframe[src]'):
            to = urlsplit(e.get('href') or e.get('src'))
            if to.scheme or to.netloc:
                if e.name != 'a' and to.scheme != 'data': yield f'{page}: {e.name} from {to.geturl()}'
                continue
            path = (page.parent/unquote(to.path)).resolve() if to.path else page
            if not path.is_file() or (to.fragment and path in ids and unquote(to.fragment) not in ids[path]):
                yield f'{page.relative_to(built)}: {to.geturl()} leads nowhere'


def build():
    "Make the site; a warning of Sphinx or a broken link is an error"
    from sphinx.cmd.build import main as sphinx
    write(site())
    places = ['-c', str(HERE), '-d', str(STAGED/'.doctrees'), str(STAGED), str(BUILT)]
    if failed := sphinx(['-q', '-W', '--keep-going', '-j', 'auto', *places]): sys.exit(failed)
    if found := [*broken(BUILT.resolve())]: sys.exit('\n'.join(found))
    print(f'The site is in {BUILT.relative_to(cfg.config_path)}: python -m http.server -d {BUILT.relative_to(cfg.config_path)}')


if __name__ == '__main__':
    args = sys.argv[1:]
    if cfg.lib_name not in NbdevLookup().entries:
        sys.exit(f'{cfg.lib_name} is not installed, so names would not become links: run pip install -e .')
    if not args: build()
    elif args == ['--readme']: README.write_text(readme(), encoding='utf-8')
    elif args != ['--check-readme']: sys.exit(__doc__)
    elif not README.exists() or README.read_text(encoding='utf-8') != readme():
        sys.exit(f'README.md is out of step with {INDEX.name}: run python docs/nbsite.py --readme')
