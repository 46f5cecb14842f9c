"Install colt as settings.ini describes it"
import shlex
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser()
config.read(here/'settings.ini')
cfg = config['DEFAULT']

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license='MIT',
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    packages=find_packages(include=['colt', 'colt.*']), zip_safe=False,
    package_data={'colt': ['py.typed', '*.pyi', 'tour.ipynb', 'voila.json'], 'colt.panel': ['*.js', '*.css'], 'colt.plot': ['*.css']},
    python_requires=f">={cfg['min_python']}", install_requires=shlex.split(cfg['requirements']),
    extras_require={'dev': shlex.split(cfg['dev_requirements']), 'lab': shlex.split(cfg['lab_requirements']),
                    'cluster': shlex.split(cfg['cluster_requirements']),
                    'sparse': shlex.split(cfg['sparse_requirements'])},
    entry_points={'console_scripts': shlex.split(cfg['console_scripts'])},
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Science/Research', 'Programming Language :: Python :: 3'],
)
