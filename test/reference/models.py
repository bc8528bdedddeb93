"""Exports torchvision's architectures with random weights as ONNX models, each with an input and PyTorch's logits.

    /usr/bin/python3 test/reference/models.py FOLDER [--full] [NAME ...]

Debian's packages python3-torch, python3-torchvision and python3-onnx are all it needs. For each name it writes
NAME.onnx, NAME.input.npy and NAME.logits.npy, float32. Without --full, images are small and the widest layers narrow,
so that all of them together take a few seconds to run; with it, they are as published, for 224x224 images.

Weights are PyTorch's own initialisation, seeded. Batch normalisation has the statistics of a few random images, as a
trained network has those of its data: with its initial ones signals would grow or vanish from layer to layer.
"""

import argparse
import pathlib
import sys
import warnings

import numpy
import torch
import torchvision

warnings.filterwarnings("ignore")
models = torchvision.models


def vgg(full):
    model = models.vgg11_bn()
    if not full:
        model.avgpool = torch.nn.AdaptiveAvgPool2d(1)
        model.classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(512, 100))
    return model


def vit(full):
    small = dict(image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=100)
    model = models.vit_b_16() if full else models.VisionTransformer(**small)
    # It is initialised with zero, so all logits would be zero.
    torch.nn.init.normal_(model.heads.head.weight, std=0.1)
    return model


def swin(full):
    if full:
        return models.swin_t()
    return models.SwinTransformer(
        patch_size=[4, 4], embed_dim=48, depths=[1, 1], num_heads=[2, 4], window_size=[4, 4], num_classes=100
    )


def convnext(full):
    if full:
        return models.convnext_tiny()
    setting = models.convnext.CNBlockConfig
    return models.ConvNeXt([setting(32, 64, 1), setting(64, 128, 2), setting(128, None, 1)], num_classes=100)


# Name: the network, the side of its small images, and the operator set it is exported with.
MODELS = {
    "resnet18": (lambda full: models.resnet18(), 64, 9),
    "mobilenet_v2": (lambda full: models.mobilenet_v2(), 64, 10),
    "mobilenet_v3_small": (lambda full: models.mobilenet_v3_small(), 64, 14),
    "mobilenet_v3_large": (lambda full: models.mobilenet_v3_large(), 64, 12),
    "vgg11_bn": (vgg, 64, 11),
    "squeezenet1_0": (lambda full: models.squeezenet1_0(), 64, 12),
    "squeezenet1_1": (lambda full: models.squeezenet1_1(), 64, 13),
    "densenet121": (lambda full: models.densenet121(), 64, 13),
    "shufflenet_v2_x1_0": (lambda full: models.shufflenet_v2_x1_0(), 64, 13),
    "efficientnet_b0": (lambda full: models.efficientnet_b0(), 64, 15),
    "googlenet": (lambda full: models.googlenet(aux_logits=False, transform_input=True, init_weights=False), 64, 13),
    "mnasnet1_0": (lambda full: models.mnasnet1_0(), 64, 11),
    "regnet_x_400mf": (lambda full: models.regnet_x_400mf(), 64, 16),
    "regnet_y_400mf": (lambda full: models.regnet_y_400mf(), 64, 16),
    "vit_b_16": (vit, 64, 14),
    "swin_t": (swin, 64, 16),
    "convnext_tiny": (convnext, 64, 14),
}


def settle(model, side):
    """Gives every batch normalisation the statistics of random images."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(8, 3, side, side))
    model.eval()


def export(folder, name, full):
    make, side, opset = MODELS[name]
    side = 224 if full else side
    torch.manual_seed(20181105)
    model = make(full)
    settle(model, side)
    image = torch.randn(2, 3, side, side)
    with torch.no_grad():
        logits = model(image)
    torch.onnx.export(
        model,
        image,
        folder / f"{name}.onnx",
        opset_version=opset,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
    )
    numpy.save(folder / f"{name}.input.npy", image.numpy())
    numpy.save(folder / f"{name}.logits.npy", logits.numpy())
    print(f"{name} {side}x{side} operator set {opset}", flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; all by default")
    arguments.add_argument("--full", action="store_true", help="as published, for 224x224 images")
    options = arguments.parse_intermixed_args()
    unknown = [name for name in options.names if name not in MODELS]
    if unknown:
        sys.exit(f"no model {unknown[0]}; there are {', '.join(MODELS)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in options.names or MODELS:
        export(options.folder, name, options.full)
