"""Writes small models as tf2onnx writes TensorFlow's: FOLDER/NAME.onnx for each of MODELS.

    /usr/bin/python3 test/reference/tf2onnx-idioms.py FOLDER

It only needs Debian's packages python3-onnx and python3-numpy. Weights are random and seeded.
"""

import pathlib
import sys

import numpy
import onnx
from onnx import helper, numpy_helper

NCHW, NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


class Model:
    """Nodes and constants with names as from tf2onnx."""

    def __init__(self, shape, opset, seed):
        self.random = numpy.random.default_rng(seed)
        self.shape, self.opset = shape, opset
        self.nodes, self.constants = [], []

    def node(self, op, *inputs, **attributes):
        name = f"StatefulPartitionedCall/model/{op}__{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [f"{name}:0"], name, **attributes))
        return f"{name}:0"

    def constant(self, values, dtype=numpy.float32):
        name = f"const_fold_opt__{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(values, dtype), name))
        return name

    def weights(self, *shape):
        fan_in = max(1, int(numpy.prod(shape[1:])))
        return self.constant(self.random.normal(0, 1.5 / fan_in**0.5, shape))

    def channels(self, count, low, high):
        """A constant for each channel, as in a folded batch normalisation."""
        return self.constant(self.random.uniform(low, high, (1, count, 1, 1)))

    def conv(self, x, filters, inputs, size, stride=1, group=1, bias=True, **where):
        parts = [x, self.weights(filters, inputs // group, size, size)]
        if bias:
            parts.append(self.weights(filters))
        return self.node(
            "Conv", *parts, dilations=[1, 1], group=group, kernel_shape=[size] * 2, strides=[stride] * 2, **where
        )

    def axes(self, op, x, axes):
        """Squeeze and Unsqueeze: an attribute until operator set 12, then an input."""
        if self.opset < 13:
            return self.node(op, x, axes=axes)
        return self.node(op, x, self.constant(axes, numpy.int64))

    def dense(self, x, inputs, classes):
        product = self.node("MatMul", x, self.weights(inputs, classes))
        return self.node("Add", product, self.weights(classes))

    def batch_of(self, x):
        """[batch] as int32, TensorFlow's type for shapes."""
        shape = self.node("Cast", self.node("Shape", x), to=onnx.TensorProto.INT32)
        ends = [self.constant([value], numpy.int64) for value in (0, 1, 0)]
        return self.node("Slice", shape, *ends)

    def reshape(self, x, batch, *sides):
        """A shape whose batch is computed and whose other lengths are known."""
        parts = [batch, *(self.constant([side], numpy.int32) for side in sides)]
        shape = self.node("Cast", self.node("Concat", *parts, axis=0), to=onnx.TensorProto.INT64)
        return self.node("Reshape", x, shape)

    def write(self, path, output):
        tensor = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "tf2onnx",
            [tensor("input_1:0", onnx.TensorProto.FLOAT, self.shape)],
            [tensor(output, onnx.TensorProto.FLOAT, ["unk__617", 7])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.producer_name, model.producer_version, model.ir_version = "tf2onnx", "1.16.1", 7
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def mobilenet_v2(m):
    """SAME at stride 2 pads only below and to the right; batch normalisations are in the weights; ReLU6 in three forms."""
    x = m.node("Transpose", "input_1:0", perm=NCHW)
    x = m.conv(x, 8, 3, 3, 2, pads=[0, 0, 1, 1])
    x = m.node("Clip", x, m.constant(0.0), m.constant(6.0))
    x = m.conv(x, 8, 8, 3, group=8, pads=[1, 1, 1, 1])
    x = m.node("Min", m.node("Max", x, m.constant(0.0)), m.constant(6.0))
    x = m.conv(x, 6, 8, 1)
    same = m.node("Add", m.conv(x, 6, 6, 1), x)
    # ZeroPadding2D before a VALID convolution.
    x = m.node("Pad", same, m.constant([0, 0, 0, 0, 0, 0, 1, 1], numpy.int64), m.constant(0.0), mode="constant")
    x = m.conv(x, 6, 6, 3, 2, group=6, pads=[0, 0, 0, 0])
    x = m.node("Min", m.node("Relu", x), m.constant(6.0))
    x = m.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    return m.node("Softmax", m.dense(x, 6, 7), axis=-1)


def mobilenet_v3(m):
    """Hard swish from its parts; a reshaped squeeze-and-excitation gate; a separate BiasAdd; a mean in two steps."""
    x = m.node("Transpose", "input_1:0", perm=NCHW)
    x = m.node("Add", m.conv(x, 8, 3, 3, 2, bias=False, pads=[0, 0, 1, 1]), m.channels(8, -1, 1))
    gate = m.node("Clip", m.node("Add", x, m.constant(3.0)), m.constant(0.0), m.constant(6.0))
    x = m.node("Mul", x, m.node("Mul", gate, m.constant(1 / 6)))
    x = m.node("Relu", m.conv(x, 8, 8, 5, 2, group=8, pads=[1, 1, 2, 2]))
    mean = m.axes("Squeeze", m.node("GlobalAveragePool", x), [2, 3])
    mean = m.reshape(mean, m.batch_of(mean), 1, 1, 8)
    mean = m.node("Transpose", mean, perm=NCHW)
    gate = m.conv(m.node("Relu", m.conv(mean, 4, 8, 1)), 8, 4, 1)
    gate = m.node("Clip", m.node("Add", gate, m.constant(3.0)), m.constant(0.0), m.constant(6.0))
    x = m.node("Mul", x, m.node("Mul", gate, m.constant(1 / 6)))
    x = m.axes("Squeeze", m.node("GlobalAveragePool", m.conv(x, 10, 8, 1)), [2, 3])
    return m.dense(m.reshape(x, m.batch_of(x), 10), 10, 7)


def efficientnet(m):
    """Rescaling of [N, H, W, C] before the transposition; unfolded batch normalisation as Mul and Add; swish."""
    x = m.node("Mul", "input_1:0", m.constant(1 / 2))
    x = m.node("Sub", x, m.constant([0.3, 0.1, -0.2]))
    x = m.node("Transpose", x, perm=NCHW)
    x = m.conv(x, 8, 3, 3, 2, bias=False, pads=[0, 0, 1, 1])
    x = m.node("Add", m.node("Mul", x, m.channels(8, 0.5, 2)), m.channels(8, -1, 1))
    x = m.node("Mul", m.node("Sigmoid", x), x)
    gate = m.node("ReduceMean", x, axes=[2, 3], keepdims=1)
    gate = m.node("Sigmoid", m.conv(m.conv(gate, 2, 8, 1), 8, 2, 1))
    x = m.node("Mul", x, gate)
    parts = [m.constant(m.random.uniform(low, high, 8)) for low, high in ((0.5, 2), (-1, 1), (-1, 1), (0.5, 2))]
    x = m.node("BatchNormalization", m.conv(x, 8, 8, 1, bias=False), *parts, epsilon=0.001)
    x = m.node("ReduceMean", m.node("Relu", x), axes=[2, 3], keepdims=0)
    return m.dense(x, 8, 7)


def resnet(m):
    """Padding while the channels are still last, and a transposition back in the middle; Flatten as a Reshape."""
    x = m.node("Pad", "input_1:0", m.constant([0, 3, 3, 0, 0, 3, 3, 0], numpy.int64), m.constant(0.0))
    x = m.node("Transpose", x, perm=NCHW)
    x = m.node("Relu", m.conv(x, 8, 3, 7, 2, pads=[0, 0, 0, 0]))
    x = m.node("Pad", x, m.constant([0, 0, 1, 1, 0, 0, 1, 1], numpy.int64), m.constant(0.0))
    x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 0, 0])
    left, right = m.conv(x, 8, 8, 1), m.conv(x, 4, 8, 3, pads=[1, 1, 1, 1])
    x = m.node("LeakyRelu", m.node("Concat", left, right, axis=1), alpha=0.2)
    x = m.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    x = m.node("Transpose", x, perm=NHWC)
    x = m.node("Reshape", x, m.constant([-1, 4 * 6 * 12], numpy.int64))
    return m.dense(x, 4 * 6 * 12, 7)


def any_size(m):
    """SAME padding that is only known at run time."""
    x = m.node("Transpose", "input_1:0", perm=NCHW)
    x = m.node("Relu", m.conv(x, 8, 3, 3, 2, auto_pad="SAME_UPPER"))
    x = m.node("Relu", m.conv(x, 8, 8, 3, auto_pad="SAME_UPPER"))
    x = m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID")
    x = m.node("ReduceMean", x, axes=[2, 3], keepdims=1)
    return m.dense(m.axes("Squeeze", x, [2, 3]), 8, 7)


# With the shape of the input and the operator set.
MODELS = {
    mobilenet_v2: (["unk__616", 32, 48, 3], 12),
    mobilenet_v3: (["unk__616", 32, 48, 3], 13),
    efficientnet: (["unk__616", 30, 45, 3], 15),
    resnet: (["unk__616", 32, 48, 3], 11),
    any_size: (["unk__616", "unk__618", "unk__619", 3], 13),
}

if __name__ == "__main__":
    for seed, (make, (shape, opset)) in enumerate(MODELS.items()):
        model = Model(shape, opset, seed)
        model.write(pathlib.Path(sys.argv[1]) / f"{make.__name__}.onnx", make(model))
