"""Stains of a slide, by the colours that they absorb."""

from __future__ import annotations

from functools import partial
from typing import Any

from chunkwise.operations.channels._colours import DTYPE, conversion, turned
from chunkwise.operations.model import Parameter


def _channels(stains: str, **_: Any) -> dict[str, None]:
    from chunkwise.ops.colour import STAINS

    return dict.fromkeys(STAINS[stains])


OPERATION = conversion(
    name="deconvolve",
    title="Colour deconvolution",
    does="separates the stains of a slide by the colours that they absorb; each becomes a channel",
    parameters={
        "stains": Parameter(
            str,
            "hed",
            "Stains",
            "what the slide is stained with; of two stains, the third channel is what is left",
            choices={  # by the names of scikit-image's matrices
                "hed": "haematoxylin, eosin, DAB",
                "hdx": "haematoxylin, DAB",
                "fgx": "Feulgen, light green",
                "bex": "Giemsa: methyl blue, eosin",
                "rbd": "fast red, fast blue, DAB",
                "gdx": "methyl green, DAB",
                "hax": "haematoxylin, AEC",
                "bro": "aniline blue, azocarmine, orange G",
                "bpx": "methyl blue, ponceau fuchsin",
                "ahx": "alcian blue, haematoxylin",
                "hpx": "haematoxylin, PAS",
            },
        ),
        "dtype": DTYPE,
    },
    kernel=partial(turned, "deconvolved"),
    channels=_channels,
    rounds=True,
    equals="skimage.color.separate_stains(image, getattr(skimage.color, stains + '_from_rgb'), channel_axis=0)"
    ".astype(dtype)",
    exact={"uf": "rtol 1e-6"},
)
