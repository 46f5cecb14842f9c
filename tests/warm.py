"What takes long the first time, done once: the notebooks' processes are forked from one that has imported this, and done nothing else"
import os

import nbdev.test  # noqa: F401
import plotly.graph_objects as go
import plotly.io._renderers  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch._dynamo  # noqa: F401
import torchvision  # noqa: F401

import colt.cli.compare
import colt.cli.prune
import colt.cli.transfer
import colt.engines.layers
import colt.panel

figure = go.Figure([go.Scatter(y=[0]), go.Bar(y=[0]), go.Heatmap(z=[[0]])])
figure.update_layout(template='plotly_white').update_xaxes(title='x').update_yaxes(title='y').to_json() # plotly imports each of these when it is used

colt.engines.layers.tile_pixels = lambda: 1 # Numba compiles for each shape of a tile; tests/test_sparse.py and 11e_layers have others than one pixel
os.fsync = lambda file: None                # the folders are deleted at once
