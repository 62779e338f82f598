"""The architecture of the package, checked in its source: rooms, imports, docstrings, sizes, settings, dependencies

    pytest tests/test_architecture.py -k docstring      one rule
    python tests/test_architecture.py [ROOM]            every violation, of one room or of all
"""
import ast
import configparser
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # when run as a program
from chatgot import ROOMS  # noqa: E402

CELL_LINES, MODULE_LINES, LINE_WIDTH, LONG_LINES = 30, 400, 110, .02
SIBLINGS = {'text', 'vision', 'audio'}  # kinds of data, which only `models` joins
# Distributions whose import name is another one
IMPORT_NAMES = {'pyyaml': 'yaml', 'python-dotenv': 'dotenv', 'nvidia-ml-py': 'pynvml', 'prometheus-client': 'prometheus_client',
                'beautifulsoup4': 'bs4', 'pillow': 'PIL', 'myst-nb': 'myst_nb', 'pydata-sphinx-theme': 'pydata_sphinx_theme',
                'sphinx-copybutton': 'sphinx_copybutton'}
# Distributions that are needed although nothing imports them, each with the reason
TOOLS = {'jupyterlab': '`chatgot lab` runs it as a program', 'tensorboard': 'torch.utils.tensorboard imports it',
         'nvidia-ml-py': 'torch.cuda.utilization imports it', 'onnxscript': "torch.onnx's exporter imports it",
         'onnxruntime': 'runs what `chatgot export --to onnx` wrote',
         'pydata-sphinx-theme': "named in Sphinx's settings", 'myst-nb': "named in Sphinx's settings",
         'sphinx-copybutton': "named in Sphinx's settings", 'pre-commit': 'a program for contributors',
         'fasttransform': 'pins what fastai 2.8.7 needs', 'execnb': 'pins what nbdev 2 needs', 'ghapi': 'pins what nbdev 2 needs'}


class Violation(NamedTuple):
    "Where a rule is broken, and how"
    module: str
    place: str
    message: str

    def __str__(self): return f'{self.place}: {self.message}'


@dataclass
class Module:
    "A module of the package, parsed"
    name: str  # dotted, with `.__init__` for a package
    path: str
    source: str
    tree: ast.Module = field(init=False)

    def __post_init__(self): self.tree = ast.parse(self.source)

    @property
    def room(self):
        "The folder it lies in; `chatgot.all` and `chatgot.__main__` belong to the command line, `chatgot` itself to nobody"
        parts = self.name.split('.')
        return parts[1] if len(parts) > 2 else 'cli' if parts[-1] != '__init__' else ''

    def broken(self, node_or_line, message):
        line = getattr(node_or_line, 'lineno', node_or_line)
        return Violation(self.name, f'{self.path}:{line}', message)


class Cell(NamedTuple):
    "An exported cell of a notebook"
    path: str
    number: int
    module: str
    source: str


class Import(NamedTuple):
    "One name taken from, or one module imported by, a module"
    node: ast.AST
    target: str  # the module
    name: str | None  # what is taken from it
    at_import: bool  # it runs when the module is imported


@dataclass
class Codebase:
    "What the rules check"
    modules: dict[str, Module]
    cells: list[Cell] = field(default_factory=list)
    ini: str = ''
    other: list[str] = field(default_factory=list)  # code that may import a development dependency: tests, docs, notebooks

    @classmethod
    def of(cls, files: dict[str, str], **kwargs):
        "A codebase from sources, by path"
        modules = [Module(p.removesuffix('.py').replace('/', '.'), p, s) for p, s in files.items()]
        return cls({m.name: m for m in modules}, **kwargs)

    @classmethod
    def read(cls, root: Path = ROOT):
        "The codebase on disk"
        read = lambda p: p.read_text(encoding='utf-8')
        paths = [p for p in sorted(root.glob('chatgot/**/*.py')) if p.name != '_modidx.py' and 'chapters' not in p.parts]
        cells, code = [], [read(p) for d in ('docs', 'tests') for p in root.glob(f'{d}/*.py')]
        for p in sorted(root.glob('nbs/**/*.ipynb')):
            if p.name.startswith('_') or '.ipynb_checkpoints' in p.parts: continue
            sources = [(i, ''.join(c['source'])) for i, c in enumerate(json.loads(read(p))['cells']) if c['cell_type'] == 'code']
            code += [s for _, s in sources]
            module = next((m[1] for _, s in sources if (m := re.search(r'^#\|\s*default_exp\s+(\S+)', s, re.M))), '')
            cells += [Cell(str(p.relative_to(root)), i, f'chatgot.{module}', s) for i, s in sources if re.search(r'^#\|\s*exporti?\b', s, re.M)]
        return cls.of({str(p.relative_to(root)): read(p) for p in paths}, cells=cells, ini=read(root/'settings.ini'), other=code)

    def imports(self, m: Module) -> Iterator[Import]:
        "Everything a module imports from the package"
        late = {id(n) for f in ast.walk(m.tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or
                isinstance(f, ast.If) and 'TYPE_CHECKING' in ast.unparse(f.test) for n in ast.walk(f)}
        for n in ast.walk(m.tree):
            if isinstance(n, ast.Import): found = [(a.name, None) for a in n.names]
            elif isinstance(n, ast.ImportFrom):
                base = m.name.split('.')[:-n.level] if n.level else []
                target = '.'.join([*base, *(n.module or '').split('.')]).strip('.')
                found = [(f'{target}.{a.name}', None) if f'{target}.{a.name}' in self.modules else (target, a.name) for a in n.names]
            else: continue
            for target, name in found:
                if target.split('.')[0] == 'chatgot': yield Import(n, target, name, id(n) not in late)

    def find(self, target: str) -> Module | None: return self.modules.get(target) or self.modules.get(f'{target}.__init__')


# Rules: each yields the violations it finds

def upward_imports(codebase: Codebase) -> Iterator[Violation]:
    "A room imports only rooms above it, nothing imports bench, and kinds of data don't import each other"
    rank = {r: i for i, r in enumerate(ROOMS)}
    for m in codebase.modules.values():
        if m.room and m.room not in rank: yield m.broken(1, f"'{m.room}' is not one of the rooms")
        for i in codebase.imports(m):
            target = codebase.find(i.target)
            if target is None: yield m.broken(i.node, f'imports {i.target}, which does not exist')
            elif not target.room or target.room == m.room or m.room not in rank or target.room not in rank: continue
            elif rank[target.room] > rank[m.room]: yield m.broken(i.node, f'{m.room} imports {i.target}, a room below it')
            elif {m.room, target.room} <= SIBLINGS: yield m.broken(i.node, f'{m.room} imports {i.target}; only models joins kinds of data')


def import_cycles(codebase: Codebase) -> Iterator[Violation]:
    "No module imports itself by way of others while it is imported"
    graph = {name: {t.name for i in codebase.imports(m) if i.at_import and (t := codebase.find(i.target))} - {name} for name, m in codebase.modules.items()}
    reachable = {}
    for name in graph:
        visited, todo = set(), [*graph[name]]
        while todo:
            if (n := todo.pop()) not in visited: visited.add(n); todo += graph[n]
        reachable[name] = visited
    for name, m in codebase.modules.items():
        others = sorted(n for n in reachable[name] if name in reachable[n] and n != name)
        if others: yield m.broken(1, f'is in an import cycle with {", ".join(others)}')


def private_names(codebase: Codebase) -> Iterator[Violation]:
    "A name that begins with an underscore stays in its module"
    private = lambda name: name.startswith('_') and not name.startswith('__')
    for m in codebase.modules.values():
        aliases = set()
        for i in codebase.imports(m):
            if i.name and private(i.name): yield m.broken(i.node, f'takes {i.name} from {i.target}')
            # a module may import itself: worker processes find its functions by name
            if i.name is None and i.target != m.name: aliases |= {a.asname or a.name for a in i.node.names}
        for n in ast.walk(m.tree):
            if isinstance(n, ast.Attribute) and private(n.attr) and ast.unparse(n.value) in aliases:
                yield m.broken(n, f'takes {n.attr} from {ast.unparse(n.value)}')


def exported(m: Module) -> set[str]:
    "What a module's `__all__` holds"
    for n in m.tree.body:
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == '__all__' and isinstance(n.value, ast.List):
            return {e.value for e in n.value.elts}
    return set()


def documentable(body: list, prefix: str = '') -> Iterator[tuple[str, ast.AST]]:
    "Public functions and classes, and the public methods of public classes"
    for n in body:
        if not isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or n.name.startswith('_'): continue
        decorators = [ast.unparse(d) for d in n.decorator_list]
        if any(d.endswith(('.setter', '.deleter', 'overload')) for d in decorators): continue
        yield prefix + n.name, n
        if isinstance(n, ast.ClassDef): yield from documentable(n.body, f'{n.name}.')


def is_patch(n) -> bool: return any(ast.unparse(d).startswith(('patch', 'patch_to')) for d in n.decorator_list)


def docstrings(codebase: Codebase) -> Iterator[Violation]:
    "Every public function, class and method says what it does"
    for m in codebase.modules.values():
        names = exported(m)
        for name, n in documentable(m.tree.body):
            if name.split('.')[0] in names or is_patch(n):
                if not ast.get_docstring(n): yield m.broken(n, f'{name} has no docstring')


def cell_length(codebase: Codebase) -> Iterator[Violation]:
    "An exported cell has at most 30 lines, without its directives"
    for c in codebase.cells:
        lines = len('\n'.join(l for l in c.source.split('\n') if not l.startswith('#|')).strip().split('\n'))
        if lines > CELL_LINES: yield Violation(c.module, f'{c.path}: cell {c.number}', f'{lines} lines, more than {CELL_LINES}')


def module_length(codebase: Codebase) -> Iterator[Violation]:
    "A module has at most 400 lines"
    for m in codebase.modules.values():
        lines = m.source.count('\n')
        if lines > MODULE_LINES: yield m.broken(lines, f'{lines} lines, more than {MODULE_LINES}')


def line_length(codebase: Codebase) -> Iterator[Violation]:
    "At most 2% of all lines are longer than 110 characters, those apart that nbdev writes"
    # nbdev wraps `__all__` at a width of its own
    own = lambda s: re.sub(r'^__all__ = \[.*?\]$', lambda m: '\n'*m[0].count('\n'), s, flags=re.M | re.S)
    lines = [(m, i, l) for m in codebase.modules.values() for i, l in enumerate(own(m.source).split('\n'), 1)]
    long = [(m, i, l) for m, i, l in lines if len(l) > LINE_WIDTH]
    if len(long) > LONG_LINES*len(lines):
        for m, i, l in long: yield m.broken(i, f'{len(l)} characters ({len(long)/len(lines):.1%} of the lines have more than {LINE_WIDTH})')


def setting_names(m: Module) -> dict[str, ast.AST]:
    "Every setting of `core.settings`, as section.name"
    classes = {n.name: n for n in ast.walk(m.tree) if isinstance(n, ast.ClassDef)}

    def fields(name):
        "Annotated fields, those of base classes too"
        if name not in classes: return {}
        inherited = {k: v for b in classes[name].bases for k, v in fields(ast.unparse(b)).items()}
        return inherited | {n.target.id: n for n in classes[name].body if isinstance(n, ast.AnnAssign)}
    return {f'{section}.{k}': n for section, f in fields('Settings').items() for k, n in fields(ast.unparse(f.annotation)).items()}


def unread_settings(codebase: Codebase) -> Iterator[Violation]:
    "Code outside `core.settings` reads every setting: as an attribute, or as a dict's key in a module that calls `getattr` with a variable"
    m = codebase.modules.get('chatgot.core.settings')
    if m is None: return
    others = [n for o in codebase.modules.values() if o is not m for n in ast.walk(o.tree)]
    # `.open()` is a file's method, not the setting serve.open
    called = {id(n.func) for n in others if isinstance(n, ast.Call)}
    read = {n.attr for n in others if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load) and id(n) not in called}
    for o in codebase.modules.values():
        nodes = [*ast.walk(o.tree)]
        by_variable = any(isinstance(n, ast.Call) and ast.unparse(n.func) == 'getattr' and not isinstance(n.args[1], ast.Constant) for n in nodes)
        if by_variable and o is not m: read |= {k.value for n in nodes if isinstance(n, ast.Dict) for k in n.keys if isinstance(k, ast.Constant)}
    for name, n in setting_names(m).items():
        if name.split('.')[1] not in read: yield m.broken(n, f'no code reads the setting {name}')


def imported(source: str) -> set[str]:
    "Names of the packages that a source imports, also by `find_spec('x')` and the like"
    try: tree = compile(source, 'cell', 'exec', ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError: return set()  # a cell with a magic
    names = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Import): names |= {a.name for a in n.names}
        elif isinstance(n, ast.ImportFrom) and not n.level: names.add(n.module)
        elif isinstance(n, ast.Call) and n.args and isinstance(n.args[0], ast.Constant) and \
                re.search('find_spec|import_module|importorskip', ast.unparse(n.func)): names.add(str(n.args[0].value))
    return {name.split('.')[0] for name in names}


def unused_dependencies(codebase: Codebase) -> Iterator[Violation]:
    "Code imports every dependency: the package imports those of users, anything in the repository those of contributors"
    ini = configparser.ConfigParser(delimiters='=')
    ini.read_string(codebase.ini or '[DEFAULT]')
    package = {n for m in codebase.modules.values() for n in imported(m.source)}
    anywhere = package.union(*map(imported, codebase.other))
    for key, value in ini['DEFAULT'].items():
        if not key.endswith('requirements'): continue
        known = anywhere if key in ('docs_requirements', 'dev_requirements') else package
        for name in (re.split(r'[\[<>=!~;]', r)[0].lower() for r in value.split()):
            if name not in {'chatgot', *TOOLS} and IMPORT_NAMES.get(name, name) not in known:
                yield Violation('', f'settings.ini: {key}', f'no code imports {name}')


RULES = [upward_imports, import_cycles, private_names, docstrings, cell_length, module_length, line_length, unread_settings,
         unused_dependencies]


@pytest.fixture(scope='module')
def codebase(): return Codebase.read()


@pytest.mark.parametrize('rule', RULES, ids=lambda r: r.__name__)
def test_codebase(codebase, rule):
    found = [*map(str, rule(codebase))]
    if found: pytest.fail(f'{rule.__doc__}: {len(found)} violations\n' + '\n'.join(found), pytrace=False)


def test_the_wheel_takes_every_file():
    "What lies beside the modules (stylesheets, scripts, presets, chapters) is package data"
    call = next(n for n in ast.walk(ast.parse((ROOT/'setup.py').read_text(encoding='utf-8'))) if isinstance(n, ast.keyword) and n.arg == 'package_data')
    taken = {p for pattern in ast.literal_eval(call.value)['chatgot'] for p in (ROOT/'chatgot').glob(pattern)}
    files = {p for p in (ROOT/'chatgot').rglob('*') if p.is_file() and p.suffix not in ('.py', '.pyc') and '.ipynb_checkpoints' not in p.parts}
    assert sorted(files - taken) == []


# Each rule must notice: sources that break it, and how many times

SETTINGS = '''
class Base(BaseModel): pass
class ModelSettings(Base):
    used: int = 1
    unused: int = 2
class Settings(Base): model: ModelSettings = ModelSettings()
'''
BAD = [
    (upward_imports, {'chatgot/text/a.py': 'def f():\n    from ..train.b import g', 'chatgot/train/b.py': ''}, 1),
    (upward_imports, {'chatgot/lab/a.py': 'import chatgot.bench.b', 'chatgot/bench/b.py': ''}, 1),
    (upward_imports, {'chatgot/text/a.py': 'from chatgot.all import *', 'chatgot/all.py': ''}, 1),
    (upward_imports, {'chatgot/vision/a.py': 'from ..text import b', 'chatgot/text/b.py': ''}, 1),
    (upward_imports, {'chatgot/text/a.py': 'from .gone import b'}, 1),
    (upward_imports, {'chatgot/cellar/a.py': ''}, 1),
    (import_cycles, {'chatgot/text/a.py': 'from .b import x', 'chatgot/text/b.py': 'from . import c', 'chatgot/text/c.py': 'import chatgot.text.a'}, 3),
    (private_names, {'chatgot/text/a.py': 'from .b import _x', 'chatgot/text/b.py': '_x = 1'}, 1),
    (private_names, {'chatgot/text/a.py': 'from chatgot.text import b\nb._x', 'chatgot/text/b.py': '_x = 1'}, 1),
    (docstrings, {'chatgot/text/a.py': "__all__ = ['f', 'A']\ndef f(): pass\nclass A:\n  'A'\n  def g(self): pass\n  @property\n  def h(self): pass"}, 3),
    (docstrings, {'chatgot/text/a.py': '@patch\ndef f(self: A): pass'}, 1),
    (module_length, {'chatgot/text/a.py': 'x = 1\n'*401}, 1),
    (line_length, {'chatgot/text/a.py': 'x = 1\n'*40 + 'y = ' + '1'*110}, 1),
    (unread_settings, {'chatgot/core/settings.py': SETTINGS, 'chatgot/text/a.py': 's.model.used; s.model.unused()'}, 1),
    (unread_settings, {'chatgot/core/settings.py': SETTINGS, 'chatgot/text/a.py': 'd = {"used": 1}\nfor k in d: getattr(s, k)'}, 1),
]


@pytest.mark.parametrize('rule,files,times', BAD, ids=lambda v: getattr(v, '__name__', ''))
def test_rule_notices(rule, files, times): assert len([*rule(Codebase.of(files))]) == times


def test_rule_notices_a_long_cell():
    cell = lambda n: Cell('a.ipynb', 1, 'chatgot.text.a', '#| export\n' + 'x = 1\n'*n)
    assert len([*cell_length(Codebase({}, [cell(30), cell(31)]))]) == 1


def test_rule_notices_an_unused_dependency():
    codebase = Codebase.of({'chatgot/text/a.py': 'import yaml, torch.nn\nfind_spec("fastapi")'}, other=['import httpx'],
                     ini='[DEFAULT]\nrequirements = torch>=2 pyyaml numpy httpx\nserve_requirements = fastapi\ndev_requirements = httpx jupyterlab')
    assert [v.message for v in unused_dependencies(codebase)] == ['no code imports numpy', 'no code imports httpx']


def test_rules_let_good_code_be():
    good = {'chatgot/core/settings.py': SETTINGS, 'chatgot/text/a.py': "__all__ = ['f']\nfrom .b import x\ndef f():\n  'f'\n  s.used, s.unused",
            'chatgot/text/b.py': 'def g():\n    from .a import f\nif TYPE_CHECKING: from chatgot.text.a import f', 'chatgot/__init__.py': '',
            'chatgot/text/d.py': 'def f():\n    from chatgot.text import d\n    d._g()',
            'chatgot/train/c.py': 'import chatgot\nfrom ..text import a\nfrom ..core.settings import Settings'}
    assert [str(v) for r in RULES for v in r(Codebase.of(good))] == []


if __name__ == '__main__':
    codebase, room = Codebase.read(), (sys.argv[1:] or [''])[0]
    if room and room not in ROOMS: sys.exit(f'{room} is not one of {", ".join(ROOMS)}')
    for rule in RULES:
        found = [v for v in rule(codebase) if not room or v.module.startswith(f'chatgot.{room}.')]
        print(f'{rule.__doc__}: {f"{len(found)} VIOLATIONS" if found else "yes"}')
        for v in found: print(f'  {v}')
