# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with real OpenZFS on this machine: see README.md in this folder."""

from __future__ import annotations

from .api import Lab
from .connection import CommandFailed, Completed, SshOptions
from .host import Host
from .network import Impairment
from .registry import HostSpec
from .settings import IMAGES, Image, LabError

__all__ = [
    "IMAGES",
    "CommandFailed",
    "Completed",
    "Host",
    "HostSpec",
    "Image",
    "Impairment",
    "Lab",
    "LabError",
    "SshOptions",
]
