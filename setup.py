"The package as settings.ini describes it"
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

ini = ConfigParser(delimiters='=')
ini.read('settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
EXTRA = '_requirements'


class SettingsToo(sdist):
    "Put settings.ini into the source archive, since this file reads it"
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, [*files, 'settings.ini'])


setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=re.sub(r'(!\[.*?\]\()(?=nbs/)', rf'\1{cfg["git_url"]}/raw/{cfg["branch"]}/', Path('README.md').read_text(encoding='utf-8')),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'].split(),
    author=cfg['author'],
    license='Apache-2.0',
    url=cfg['doc_host'] + cfg['doc_baseurl'],
    project_urls={'Source': cfg['git_url'], 'Changelog': f'{cfg["git_url"]}/blob/{cfg["branch"]}/CHANGELOG.md'},
    classifiers=['Development Status :: 3 - Alpha', 'Framework :: Jupyter', 'Intended Audience :: Education', 'Intended Audience :: Science/Research',
                 'Programming Language :: Python :: 3', 'Topic :: Scientific/Engineering :: Artificial Intelligence', 'Typing :: Typed'],
    packages=find_packages(include=['chatgot', 'chatgot.*']),
    package_data={'chatgot': ['py.typed', 'configs/**/*.yaml', 'core/*.css', 'serve/*.html', 'serve/*.js', 'serve/*.css', 'lab/*.js', 'lab/*.css',
                              'tutorials/*.ipynb']},  # chatgot/tutorials is a link to nbs/tutorials
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require={k.removesuffix(EXTRA): v.split() for k, v in cfg.items() if k.endswith(EXTRA)},
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': ['chatgot=chatgot._modidx:d']},
    cmdclass={'sdist': SettingsToo},
)
