"""Exports torchvision's MobileNetV2 with random weights (seed 0) for images of 224x224: python3 mobilenet.py OUT.onnx

Debian: apt-get install python3-torchvision; run it with /usr/bin/python3. The weights do not affect the time.
"""
import sys

import torch
import torchvision

torch.manual_seed(0)
model = torchvision.models.mobilenet_v2(weights=None)
# Batch normalisation as after training, with the statistics of its inputs, so that activations keep their magnitude.
# (Otherwise they shrink to denormal numbers, which take several times as long.)
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = None
model.train()
with torch.no_grad():
    for _ in range(4):
        model(torch.randn(8, 3, 224, 224))
model.eval()
torch.onnx.export(
    model,
    torch.zeros(1, 3, 224, 224),
    sys.argv[1],
    opset_version=13,
    input_names=["input"],
    output_names=["logits"],
    dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
)
