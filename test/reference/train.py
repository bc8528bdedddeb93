"""Writes train.json: PyTorch's results for one training step of the notebook's ResNet, and for Adam.

    /usr/bin/python3 test/reference/train.py     (made with PyTorch 1.13.0)

All inputs come from the generator below, so that the test can make the same ones.
"""

import json
import pathlib

import torch
from torch import nn
import torch.nn.functional as F


def generator(seed):
    """Lehmer's minimal standard: uniform in (0, 1)."""
    while True:
        seed = seed * 16807 % 2147483647
        yield seed / 2147483647


class ResBlock(nn.Module):
    def __init__(self, i, o, downsample):
        super().__init__()
        stride = 2 if downsample else 1
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsampler = nn.Conv2d(i, o, 1, 2, bias=False) if downsample else nn.Identity()

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.downsampler(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = ResBlock(1, 16, False)
        self.block2 = ResBlock(16, 32, True)
        self.block3 = ResBlock(32, 64, True)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(F.avg_pool2d(self.block3(self.block2(self.block1(x))), 8, 1).flatten(1))


def fill(tensor, random, low, high):
    """Values rounded to float32, row by row."""
    values = torch.tensor([low + (high - low) * next(random) for _ in range(tensor.numel())])
    tensor.data = values.float().reshape(tensor.shape).to(tensor.dtype)


def sample(tensor, limit=150):
    """At most `limit` elements, evenly spread, with the first one; and the largest of all."""
    flat = tensor.detach().flatten()
    step = -(-len(flat) // limit)
    return {"step": step, "values": [float(f"{v:.8g}") for v in flat[::step]], "largest": flat.abs().max().item()}


def resnet_step():
    """Gradients in float64 of a batch of 3, and the running statistics after it."""
    net = ResNet().double()
    random = generator(1)
    for name, parameter in net.named_parameters():
        bound = 1 / max(1, parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.3
        centre = 1 if ".bn" in name and name.endswith("weight") else 0
        fill(parameter, random, centre - bound, centre + bound)
    images = torch.zeros(3, 1, 32, 32, dtype=torch.float64)
    fill(images, random, -0.5, 2.5)
    logits = net(images)
    loss = F.cross_entropy(logits, torch.tensor([7, 2, 1]))
    loss.backward()
    running = {n: b.tolist() for n, b in net.named_buffers() if "running" in n}
    gradients = {n: sample(p.grad) for n, p in net.named_parameters()}
    return {"loss": loss.item(), "logits": logits.flatten().tolist(), "gradients": gradients, "running": running}


def adam_steps():
    """torch.optim.Adam in float32 over five steps with gradients of very different sizes."""
    random = generator(2)
    theta = torch.zeros(6)
    fill(theta, random, -1, 1)
    theta.requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=1e-3)
    steps = []
    for _ in range(5):
        theta.grad = torch.zeros(6)
        fill(theta.grad, random, -1, 1)
        theta.grad *= torch.tensor([10, 1, 1e-2, 1e-5, 1e-9, 0])
        optimizer.step()
        state = optimizer.state[theta]
        steps.append([theta.tolist(), state["exp_avg"].tolist(), state["exp_avg_sq"].tolist()])
    return steps


path = pathlib.Path(__file__).with_name("train.json")
path.write_text(json.dumps({"resnet": resnet_step(), "adam": adam_steps()}, indent=1) + "\n")
