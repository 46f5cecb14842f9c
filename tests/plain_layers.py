"The sparse layer in plain torch, slow and easy to check: the independent truth that the fast one is compared with"
import torch
import torch.nn.functional as F
from torch import nn

LANES = 16


def to_blocks(x):
    "(n, c, h, w) -> (ceil(n/16), c, h, w, 16), the last block padded with zeros"
    n = len(x)
    blocks = -(-n//LANES)
    x = F.pad(x, (0, 0)*(x.ndim - 1) + (0, blocks*LANES - n))
    return x.unflatten(0, (blocks, LANES)).movedim(1, -1)


def from_blocks(x, n): return x.movedim(-1, 1).flatten(0, 1)[:n]


def scattered(values, kept): return torch.zeros(kept.shape, dtype=values.dtype).masked_scatter(kept, values)


class SparseLayer(nn.Module):
    "Scatters its values into a dense weight, and computes with torch's own functions"
    def __init__(self, layer, kept, in_shape, norm=None, activation='', pool=None, adds=False):
        super().__init__()
        self.layer_type, self.in_shape, self.activation, self.adds = type(layer), in_shape, activation, adds
        self.settings = {k: getattr(layer, k) for k in ('stride', 'padding', 'dilation')} if isinstance(layer, nn.Conv2d) else {}
        self.kept, self.norm, self.pool, self.bias = kept, norm, pool, layer.bias
        self.values = nn.Parameter(layer.weight.detach()[kept])
        with torch.no_grad():
            x = to_blocks(torch.zeros(1, *(in_shape if len(in_shape) == 3 else (*in_shape, 1, 1)), dtype=layer.weight.dtype))
            residual = None
            modes = {m: m.training for m in self.modules()}
            self.eval()
            self.out_shape = tuple(self(x, 1, residual).shape[1:4])
            for m, mode in modes.items(): m.training = mode

    def weight(self): return scattered(self.values, self.kept)

    def forward(self, x, n, residual=None):
        x = from_blocks(x, n)
        if self.settings: y = F.conv2d(x, self.weight(), self.bias, **self.settings)
        else: y = F.linear(x.flatten(1), self.weight(), self.bias)[:, :, None, None]
        if self.norm is not None: y = self.norm(y)
        if residual is not None: y = y + from_blocks(residual, n)
        if self.activation: y = {'relu': F.relu, 'relu6': F.relu6}[self.activation](y)
        if self.pool is not None: y = self.pool(y)
        return to_blocks(y)

    def folded(self):
        "The same layer for inference, with its BatchNorm in its values and bias"
        layer = SparseLayer.__new__(SparseLayer)
        nn.Module.__init__(layer)
        layer.__dict__ |= {k: v for k, v in self.__dict__.items() if not k.startswith('_')}
        norm, o = self.norm, self.kept.nonzero()[:, 0]
        layer.norm, layer.pool = None, self.pool
        scale = torch.ones(len(self.kept)) if norm is None else norm.weight/torch.sqrt(norm.running_var + norm.eps)
        shift = torch.zeros(len(self.kept)) if norm is None else norm.bias - norm.running_mean*scale
        layer.values = nn.Parameter((self.values*scale[o]).detach())
        layer.bias = nn.Parameter((shift if self.bias is None else shift + self.bias*scale).detach())
        return layer
