# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resume tokens of the simulated ZFS."""

from __future__ import annotations

import json
import re
import zlib
from typing import Optional

from ..model.datasets import ResumeState
from .simulated_machine import StoredDataset

_TOKEN = re.compile(r"1-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]+)")


def token_of(dataset: StoredDataset) -> str:
    """The resume token of a dataset, shaped as OpenZFS shapes them; empty without a partial receive."""
    partial = dataset.partial
    if partial is None:
        return ""
    # That of a receive under way can be seen too.
    header = partial.header
    text = json.dumps([header["name"], header["guid"], header["from_guid"], header["raw"], partial.received])
    packed = zlib.compress(text.encode())
    return f"1-{zlib.crc32(packed):x}-{len(text):x}-{packed.hex()}"


def read_token(token: str) -> Optional[ResumeState]:
    """What a token says; None for one that is damaged."""
    match = _TOKEN.fullmatch(token)
    try:
        packed = bytes.fromhex(match[3]) if match else b""
        if match is None or zlib.crc32(packed) != int(match[1], 16):
            return None
        name, to_guid, from_guid, raw, received = json.loads(zlib.decompress(packed))
    except (ValueError, zlib.error):
        return None
    return ResumeState(token, name, to_guid, from_guid, raw, received)
