"""CenterFace behind the `FaceDetector` protocol: one small network, five landmarks, weights in the package.

Source of the decoding: Y. Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point",
Scientific Programming 2020. The network sees RGB in 0..255 and answers at a quarter of the input's resolution
with a heat map, log sizes, centre offsets and landmarks relative to the box.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facemix.errors import InstallationError
from facemix.faces.runners import Runner, RunnerChoice, open_network
from facemix.faces.types import Face

WEIGHTS = Path(__file__).with_name("weights") / "centerface.onnx"
_STRIDE = 4  # output cells per input pixel, a property of the network
_MULTIPLE = 32  # the network halves five times
_NMS_IOU = 0.3


class CenterFace:
    """The default detector. Safe to call from several threads.

    Args:
        threshold: least confidence of a reported face, 0 to 1. Low on purpose: the finder decides.
        threads: CPU threads for one call; 0 leaves the choice to the runner.
        runner: who computes; see `facemix.faces.runners.open_network`.

    Attributes:
        runner: who computes.

    Raises:
        InstallationError: the weights are not where the package puts them, or cannot be loaded; the runner that was
            asked for is not installed.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.2,
        threads: int = 0,
        weights: Path = WEIGHTS,
        runner: RunnerChoice = "onnxruntime",
    ) -> None:
        self.runner: Runner
        try:
            self.runner, self._run = open_network(weights, runner=runner, threads=threads)
        except InstallationError:
            raise
        except Exception as error:  # ONNX Runtime raises its own family, and plain RuntimeError
            raise InstallationError(
                f"the face detector's weights at {weights} cannot be loaded: {error}",
                hint="install facemix again: the file ships inside the package",
            ) from error
        self.threshold = threshold

    def detect(self, image: np.ndarray) -> list[Face]:
        """image: (H, W, 3) uint8 RGB. Returns faces by falling confidence, overlapping ones removed."""
        height, width = image.shape[:2]
        padded = np.zeros((1, 3, _round_up(height), _round_up(width)), np.float32)
        for channel, plane in zip(padded[0], cv2.split(image), strict=True):
            channel[:height, :width] = plane
        heat, log_size, offset, relative = self._run(padded)
        heat, log_size, offset, relative = heat[0, 0], log_size[0], offset[0], relative[0]

        rows, columns = np.nonzero(heat >= self.threshold)
        if rows.size == 0:
            return []
        scores = heat[rows, columns]
        sizes = np.exp(log_size[:, rows, columns]) * _STRIDE  # (2, N): height, width
        top = (rows + offset[0, rows, columns] + 0.5) * _STRIDE - sizes[0] / 2
        left = (columns + offset[1, rows, columns] + 0.5) * _STRIDE - sizes[1] / 2
        points = relative[:, rows, columns]  # (10, N): y, x of each landmark, in units of the box
        xs = points[1::2] * sizes[1] + left
        ys = points[0::2] * sizes[0] + top

        boxes = np.stack([left, top, sizes[1], sizes[0]], axis=1)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self.threshold, _NMS_IOU)
        return [
            Face(
                box=(
                    float(left[i]),
                    float(top[i]),
                    float(left[i] + sizes[1][i]),
                    float(top[i] + sizes[0][i]),
                ),
                landmarks=np.stack([xs[:, i], ys[:, i]], axis=1).astype(np.float32),
                score=float(scores[i]),
            )
            for i in np.asarray(kept, dtype=int).ravel()
        ]


def _round_up(pixels: int) -> int:
    return max(_MULTIPLE, -(-pixels // _MULTIPLE) * _MULTIPLE)
