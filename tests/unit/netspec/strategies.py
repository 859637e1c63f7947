"""Hypothesis strategies for operators."""

from hypothesis import strategies as st

from netspec.operators import (
    PRECISIONS,
    Activation,
    Classifier,
    Convert,
    HeadConv,
    Kernel,
    MBConv,
    Operator,
    StemConv,
    Stride,
)

SIZES = st.integers(1, 4096)
CHANNELS = st.integers(1, 16384)
KERNELS: st.SearchStrategy[Kernel] = st.sampled_from((1, 3, 5, 7, 9, 11))
STRIDES: st.SearchStrategy[Stride] = st.sampled_from((1, 2))
ACTIVATIONS: st.SearchStrategy[Activation] = st.sampled_from(("relu6", "relu"))
PRECISION = st.sampled_from(PRECISIONS)


@st.composite
def mbconvs(draw: st.DrawFn) -> MBConv:
    stride, channels = draw(STRIDES), draw(CHANNELS)
    residual = stride == 1 and draw(st.booleans())
    return MBConv(
        input_size=draw(SIZES),
        in_channels=channels,
        out_channels=channels if residual else draw(CHANNELS),
        kernel=draw(KERNELS),
        expand=draw(st.integers(1, 16)),
        stride=stride,
        residual=residual,
        activation=draw(ACTIVATIONS),
        precision=draw(PRECISION),
    )


def operators() -> st.SearchStrategy[Operator]:
    common = {
        "input_size": SIZES,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "precision": PRECISION,
    }
    return st.one_of(
        st.builds(
            StemConv,
            **common,
            kernel=KERNELS,
            stride=STRIDES,
            activation=ACTIVATIONS,
            kind=st.just("stem"),
        ),
        mbconvs(),
        st.builds(HeadConv, **common, activation=ACTIVATIONS, kind=st.just("head")),
        st.builds(Classifier, **common, kind=st.just("classifier")),
        converts(),
    )


@st.composite
def converts(draw: st.DrawFn) -> Convert:
    channels = draw(CHANNELS)
    return Convert(
        input_size=draw(SIZES),
        in_channels=channels,
        out_channels=channels,
        precision=draw(PRECISION),
    )
