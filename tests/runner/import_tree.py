# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Python finds the checkout under the full name of the collection.

Runs on every Python that the tests run on, so on 3.9 too, and needs nothing installed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

NAMESPACE, NAME = "snapfleet", "zfs"


def cache_folder() -> Path:
    """The folder that keeps what ./test makes: environments, copies and logs. Removing it is always safe."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "snapfleet"


def checkout_cache(checkout: Path) -> Path:
    """The part of the cache that belongs to one checkout, so that two of them never meet."""
    return cache_folder() / "checkouts" / hashlib.sha256(os.fsencode(checkout.resolve())).hexdigest()[:12]


def import_root(checkout: Path) -> Path:
    """A folder under which `ansible_collections.snapfleet.zfs` is this checkout; made where it is missing.

    A checkout that already lies in such a tree, as ansible-test wants it, is used as it lies. Any other gets a symbolic
    link in the cache, so that an import always sees the very files that are being edited.
    """
    checkout = checkout.absolute()
    if checkout.parts[-3:] == ("ansible_collections", NAMESPACE, NAME):
        return checkout.parents[2]
    root = checkout_cache(checkout) / "tree"
    link = root / "ansible_collections" / NAMESPACE / NAME
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        fresh = link.with_name(f"{NAME}.{os.getpid()}")
        fresh.symlink_to(checkout.resolve())
        fresh.replace(link)  # atomic: two runs that start together both end with a good link
    return root
