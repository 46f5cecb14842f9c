"How Sphinx makes the site from the pages that build.py wrote"
import inspect
import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

from furo.navigation import get_navigation_tree
from latex2mathml.converter import convert
from nbdev.config import get_config
from sphinx.search.en import SearchEnglish

here = Path(__file__).parent
told = get_config(path=here.parents[1])
project, author, copyright, release = told.lib_name, told.author, told.copyright, told.version
source = f'{told.git_url}/blob/{told.branch}'

extensions = ['myst_nb', 'sphinx.ext.linkcode', 'sphinx_copybutton']
myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath', 'fieldlist']
myst_heading_anchors = 3
nb_execution_mode = 'off'                             # a page shows what its notebook shows
nb_render_markdown_format = 'myst'                    # so that an output may have a table
nb_code_prompt_show, nb_code_prompt_hide = 'show the code', 'hide the code'
nitpicky = True
nitpick_ignore_regex = [('py:class', '.*')]           # what stands in signatures; names in the text are all checked
add_module_names = False
maximum_signature_line_length = 100
python_display_short_literal_types = True
copybutton_exclude = '.linenos, .gp'

html_theme, html_title, html_favicon = 'furo', 'colt', str(here/'static/favicon.svg')
html_static_path = [str(here/'static'), os.environ['COLT_SITE_STATIC']]
html_css_files, html_js_files = ['site.css'], ['site.js']
html_show_sphinx = html_show_sourcelink = False
html_copy_source = False
html_theme_options = dict(source_repository=told.git_url, source_branch=told.branch, source_directory='nbs/',
                          light_css_variables={'color-brand-primary': '#aa3377', 'color-brand-content': '#36669c'},
                          dark_css_variables={'color-brand-primary': '#e58abb', 'color-brand-content': '#8fb6de'})
html_math_renderer = 'mathml'


def linkcode_resolve(domain, info):
    "The lines of a name in the module"
    thing = import_module(info['module'])
    for name in info['fullname'].split('.'): thing = getattr(thing, name, None)
    thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing) if thing is not None else None
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismethod(thing)): return None
    lines, first = inspect.getsourcelines(thing)
    return f'{source}/{Path(sys.modules[thing.__module__].__file__).relative_to(here.parents[1])}#L{first}-L{first + len(lines) - 1}'


navigation = []                                       # as the front page shows it, once that is known


def marked(tree, page):
    "The navigation of the front page as that of another page: links begin there, and what leads to the page is marked"
    nav = ElementTree.fromstring(f'<nav>{tree}</nav>')
    around = {inner: outer for outer in nav.iter() for inner in outer}
    for link in nav.iter('a'):
        if link.get('href') == f'{page}.html':
            around[link].set('class', f'{around[link].get("class")} current-page')
            item = link
            while item is not nav:
                item.set('class', f'{item.get("class", "")} current'.strip())
                for box in item.findall('input'): box.set('checked', '')
                item = around[item]
        link.set('href', '../'*page.count('/') + link.get('href'))
    return ''.join(ElementTree.tostring(part, 'unicode', method='html') for part in nav)


def without_navigation(app, page, template, context, doctree):
    "Before the theme's turn, which would make it anew for each page: a third of the build"
    if not navigation:
        tree = app.builder._get_local_toctree('index', collapse=False, titles_only=True, maxdepth=-1, includehidden=True)
        navigation.append(get_navigation_tree(tree))
    del context['toctree']


def with_navigation(app, page, template, context, doctree): context['furo_navigation_tree'] = marked(navigation[0], page)


def setup(app):
    "The navigation, made once; words of the search, stemmed once; formulas in MathML, which browsers draw by themselves"
    app.connect('html-page-context', without_navigation, 100)
    app.connect('html-page-context', with_navigation, 900)
    SearchEnglish.stem = cache(SearchEnglish.stem)
    def draw(display):
        def visit(self, node):
            self.body.append(convert(node.astext(), display=display))
            raise __import__('docutils').nodes.SkipNode
        return visit, None
    app.add_html_math_renderer('mathml', draw('inline'), draw('block'))
