"Settings of Sphinx for the pages that docs/nbsite.py has staged in _proc/"
import json

from docutils import nodes
from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup

cfg = get_config()
project, author, copyright, release = cfg.title, cfg.author, cfg.copyright, cfg.version
extensions = ['myst_nb', 'sphinx.ext.githubpages', 'sphinx_copybutton']
exclude_patterns = ['.doctrees', 'sources.json', 'extra']
suppress_warnings = ['myst.header']  # a function's heading may follow a chapter's title

nb_execution_mode = 'off'  # outputs are those saved in the notebooks
nb_merge_streams, nb_render_markdown_format = True, 'myst'
myst_enable_extensions = ['alert', 'amsmath', 'attrs_block', 'colon_fence', 'dollarmath']
myst_all_links_external = True  # nbsite.py made them and checks them
copybutton_exclude = '.linenos, .gp, .go'

html_theme, html_title = 'pydata_sphinx_theme', cfg.title
html_static_path, html_extra_path, html_css_files = ['site'], [str(cfg.config_path/'_proc/extra')], ['site.css']
html_logo = html_favicon = 'site/icon.svg'
html_baseurl, html_copy_source, html_use_index = f'{cfg.doc_host}{cfg.doc_baseurl}/', False, False
html_math_renderer, html_search_scorer = 'mathml', str(cfg.config_path/'docs/scorer.js')
html_sidebars = {'index': [], 'start': []}
html_context = dict(default_mode='auto', sources=json.loads((cfg.config_path/'_proc/sources.json').read_text()), edit_page_provider_name='GitHub',
                    edit_page_url_template=f'{cfg.git_url}/edit/{cfg.branch}/' "{{ sources[file_name.rsplit('.', 1)[0]] }}")
html_theme_options = dict(
    logo=dict(text=cfg.title), use_edit_page_button=True, show_nav_level=1, show_toc_level=2, header_links_before_dropdown=6, navigation_with_keys=False,
    icon_links=[dict(name='GitHub', url=cfg.git_url, icon='fa-brands fa-github')],
    footer_start=['copyright'], footer_end=[], secondary_sidebar_items=['page-toc', 'edit-this-page'])
NAMES = {(url.split('.html')[0].removeprefix(html_baseurl), name.removeprefix(f'{module}.')): name
         for module, syms in NbdevLookup().entries[cfg.lib_name]['syms'].items() for name, (url, *_) in syms.items()}


def anchors(app, doctree):
    "A function's heading gets nbdev's anchor, and an entry in the search and in objects.inv"
    page, index = app.env.current_document.docname, app.env.domains.python_domain
    sections = [*doctree.findall(nodes.section)]
    own = [s for s in sections if {'class', 'function', 'method'} & {*s['classes']}]
    first = {s[0].astext().lower(): s for s in reversed(own)}  # `Trace` and `trace` would have the same
    for s in sections: s['ids'] = [f'{i}-' if i in first else i for i in s['ids']]
    for anchor, s in first.items(): s['ids'] = [anchor]
    for s in own: index.note_object(NAMES[page, s[0].astext()], s['classes'][0], s['ids'][0], location=s)


def mathml(display):
    "Formulas as MathML, which browsers draw by themselves"
    def visit(translator, node):
        translator.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode
    return visit, None


def setup(app):
    app.connect('doctree-read', anchors, priority=100)  # before Sphinx collects the table of contents
    app.add_html_math_renderer('mathml', mathml('inline'), mathml('block'))
    return dict(parallel_read_safe=True, parallel_write_safe=True)
