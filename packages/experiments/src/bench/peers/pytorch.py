"""The notebook's training step in PyTorch, for ../train.ts. For each number on standard input it takes that many steps at
batch 128 on random images, and prints the milliseconds per step."""

import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(2)
torch.manual_seed(0)


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
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.downsampler(x)
        return F.relu(out, inplace=True)


net = nn.Sequential(
    ResBlock(1, 16, False), ResBlock(16, 32, True), ResBlock(32, 64, True), nn.AvgPool2d(8, 1), nn.Flatten(), nn.Linear(64, 10)
)
optimizer = torch.optim.Adam(net.parameters())
images, labels = torch.randn(128, 1, 32, 32), torch.randint(10, (128,))
print(torch.__version__, flush=True)
for line in sys.stdin:
    steps = int(line)
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    print(1000 * (time.perf_counter() - start) / steps, flush=True)
