"The eight architectures against the original's figures, and against torchvision"
import json
from pathlib import Path

import pytest
import torch
import torchvision.models as tv
from torch import nn

from colt.data import generator
from colt.models import ARCHITECTURES, create

ORIGINAL = json.loads((Path(__file__).parent/'architectures.json').read_text())
SETS = {'mnist': (10, (1, 28, 28)), 'fashionmnist': (10, (1, 28, 28)), 'cifar10': (10, (3, 32, 32)), 'cifar100': (100, (3, 32, 32)),
        'tinyimagenet': (200, (3, 64, 64)), 'imagenet': (1000, (3, 224, 224))}
STEMS = {'resnet18', 'densenet121', 'mobilenetv2', 'shufflenetv2'}


def images(*shape): return torch.rand(shape, generator=generator(0, 'images'))


def count(net):
    def of(kind): return sum(m.weight.numel() for m in net.modules() if isinstance(m, kind))
    return {'parameters': sum(p.numel() for p in net.parameters()), 'conv_weights': of(nn.Conv2d), 'linear_weights': of(nn.Linear),
            'batchnorm_weights': of(nn.BatchNorm2d)}


def test_every_figure_is_compared(): assert ORIGINAL['counts'].keys() == ORIGINAL['parameter_shapes_cifar10_in_order'].keys() == set(ARCHITECTURES)


@pytest.mark.parametrize('arch', ARCHITECTURES)
@pytest.mark.parametrize('dataset', SETS)
def test_the_counts_are_the_original_s(arch, dataset):
    classes, shape = SETS[dataset]
    expected, found = ORIGINAL['counts'][arch][dataset], count(create(arch, classes, shape))
    if arch == 'conv3' and shape[0] == 1: # the original's first convolution has three channels, and fails; ours has one
        assert count(create(arch, classes, (3, *shape[1:]))) == expected
        two_channels = 2*64*3*3
        expected = expected | {k: expected[k] - two_channels for k in ('parameters', 'conv_weights')}
    assert found == expected


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_the_shapes_are_the_original_s_in_order(arch):
    assert [list(p.shape) for p in create(arch, 10, (3, 32, 32)).parameters()] == ORIGINAL['parameter_shapes_cifar10_in_order'][arch]


@pytest.mark.parametrize('arch,stem', [(a, 'small') for a in ARCHITECTURES] + [(a, 'large') for a in sorted(STEMS)])
def test_every_network_takes_every_image(arch, stem):
    for c, side, classes in (1, 8, 3), (3, 20, 1): # test_pairs.py trains it on images of the data sets
        learns(create(arch, classes, (c, side, side), stem=stem), images(2, c, side, side), classes)
    if stem == 'large' or arch not in STEMS: # a small stem at this size is costly: the next test
        learns(create(arch, 1000, (3, 224, 224), stem=stem), images(2, 3, 224, 224), 1000)


@pytest.mark.parametrize('arch', sorted(STEMS))
def test_a_small_stem_takes_large_images(arch): learns(create(arch, 5, (3, 224, 224)), images(1, 3, 224, 224), 5)


def learns(net, x, classes):
    "Forward and backward, laid out in memory as in a training"
    out = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert out.shape == (len(x), classes) and out.isfinite().all()
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_stems_differ_where_there_are_two(arch):
    small, large = (create(arch, 10, (3, 64, 64), stem=stem).state_dict() for stem in ('small', 'large'))
    equal = small.keys() == large.keys() and all(torch.equal(small[n], large[n]) for n in small)
    assert equal == (arch not in STEMS)


def moved(net, theirs, names=None):
    "`theirs` with the weights of `net`, taken in the order of their names, or in that of `names`"
    weights = net.state_dict()
    theirs.load_state_dict({there: weights[here] for there, here in zip(theirs.state_dict(), names or weights, strict=True)})
    return theirs


def agree(net, theirs):
    x = images(2, 3, 96, 96)
    for mode in True, False: torch.testing.assert_close(net.train(mode)(x), theirs.train(mode)(x), atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize('arch', ['resnet18', 'densenet121'])
def test_with_the_large_stem_it_is_torchvision_s(arch):
    net = create(arch, 1000, (3, 96, 96), stem='large')
    agree(net, moved(net, tv.get_model(arch)))


def without_biases(net):
    "Names of the weights, less the biases of convolutions, which begin at 0 and which torchvision's networks do not have"
    biases = {f'{n}.bias' for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    assert not any(net.state_dict()[n].any() for n in biases)
    return [n for n in net.state_dict() if n not in biases]


def test_shufflenetv2_with_the_large_stem_is_torchvision_s_but_for_the_width_of_its_first_unit():
    net, theirs = create('shufflenetv2', 1000, (3, 96, 96), stem='large'), tv.shufflenet_v2_x1_0()
    way = theirs.stage2[0].branch2 # widens 24 channels to 58 at once; the original at the end
    way[0], way[1], way[3], way[4] = nn.Conv2d(24, 24, 1, bias=False), nn.BatchNorm2d(24), nn.Conv2d(24, 24, 3, 2, 1, groups=24, bias=False), nn.BatchNorm2d(24)
    way[5] = nn.Conv2d(24, 58, 1, bias=False)
    def place(name): # torchvision has the near way first
        partition, child, way, *_ = [*name.split('.'), '']
        return partition == 'head', int(child) if partition == 'body' else 0, way == 'far'
    agree(net, moved(net, theirs, sorted(without_biases(net), key=place)))


def test_mobilenetv2_with_the_large_stem_is_torchvision_s_but_for_the_first_widening():
    net = create('mobilenetv2', 1000, (3, 96, 96), stem='large')
    first = next(m for m in net.body if isinstance(m, nn.Sequential))
    for layer in first[:3]: first[list(first).index(layer)] = nn.Identity()
    agree(net, moved(net, tv.mobilenet_v2(dropout=0.), without_biases(net)))


def test_what_a_network_takes_comes_before_all_else():
    net, x = create('alexnet', 4, (1, 8, 8)).eval(), images(2, 3, 40, 24)
    before = set(net.state_dict())
    net.input_shape = (1, 8, 8)
    shrunk = nn.functional.interpolate(x.mean(1, keepdim=True), (8, 8), mode='bilinear', antialias=True)
    by_hand = nn.functional.interpolate(shrunk, (32, 32), mode='bilinear')
    assert set(net.state_dict()) == before
    torch.testing.assert_close(net(x), net.head(net.body(by_hand)))
    net.input_shape = (2, 8, 8)
    with pytest.raises(ValueError, match='the images have 3 channels, and 2 are asked for'): net(x)
