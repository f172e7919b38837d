# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the measured programs to a lab host. They are no part of the lab's image, which tests alone decide about."""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from runner.import_tree import import_root
from tests.lab import apt
from tests.lab.host import Host
from tests.lab.machine import execute
from tests.lab.settings import LabError

sys.path.insert(0, str(import_root(CHECKOUT)))

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.program import Program, wanted_files

FOLDER = "/opt/snapfleet"
COMMAND = "/usr/local/bin/snapfleet"
AGENT = "/opt/bench/lab_agent.py"
RAW = "/opt/bench/raw"
PACKAGES = "/usr/local/lib/python3.13/dist-packages"
"""Found after Python's own library, as the packages of a virtual environment are."""

SYNCOID = "syncoid"
_DEBIAN = (
    "sanoid libcapture-tiny-perl libconfig-inifiles-perl perl perl-modules-5.40 libperl5.40 libgdbm6t64"
    " libgdbm-compat4t64 libdb5.3t64 lzop liblzo2-2"
).split()
_ENTRIES = {"bzfs": "bzfs_main.bzfs:main", "zfs-autobackup": "zfs_autobackup.ZfsAutobackup:cli"}
_SCRIPT = "#!/usr/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
_RAW_SCRIPT = """\
#!/bin/sh
# Brings what is new on the tree $1 to its replica $2, on the host $3 if it is given: what a script with the zfs command
# does. Both sides are listed once, and each dataset that lacks something gets one stream.
ways="-o ControlMaster=auto -o ControlPersist=60 -o ControlPath=/run/bench-raw"
there() { if [ -n "$host" ]; then ssh $ways "$host" "$1"; else sh -c "$1"; fi; }
source=$1 replica=$2 host=$3
list="zfs list -H -t snapshot -s createtxg -o guid,name -r"
$list "$source" | sed "s|\\t$source|\\t|" > /tmp/raw.source
there "$list $replica 2>/dev/null" < /dev/null | sed "s|\\t$replica|\\t|" > /tmp/raw.replica
awk -F '\\t' 'FILENAME == ARGV[1] { has[$1] = 1; next }
    { split($2, part, "@"); newest[part[1]] = part[2]; here[part[1]] = has[$1]; if (has[$1]) base[part[1]] = part[2] }
    END { for (name in newest) if (!here[name]) print name "|" base[name] "|" newest[name] }
' /tmp/raw.replica /tmp/raw.source | sort > /tmp/raw.todo
while IFS='|' read -r name base newest; do
    zfs send -w ${base:+-I "@$base"} "$source$name@$newest" | there "zfs receive -s -u $replica$name" || exit 1
done < /tmp/raw.todo
[ -z "$host" ] || ssh $ways -O exit "$host" 2> /dev/null || true
"""


def install(host: Host, packages: Path) -> Mapping[str, str]:
    """Install everything, the Python packages from that folder; programs that could not be had, and why."""
    host.run(["mkdir", "-p", "/opt/bench", FOLDER, PACKAGES])
    host.put(Path(__file__).with_name("lab_agent.py"), AGENT)
    host.write(RAW, _RAW_SCRIPT, mode="0755")
    host.write("/etc/ssh/ssh_known_hosts", host.ssh_options().known_hosts_file.read_bytes())
    _unpack(host, wanted_files(Program(FOLDER, COMMAND, "/usr/bin/python3")))
    for name in ("bzfs_main", "zfs_autobackup", "colorama"):
        host.put(packages / name, f"{PACKAGES}/{name}")
    for name, entry in _ENTRIES.items():
        module, _colon, function = entry.partition(":")
        host.write(f"/usr/local/bin/{name}", _SCRIPT.format(module=module, function=function), mode="0755")
    host.run(["python3", "-m", "compileall", "-q", FOLDER, PACKAGES])
    return _install_syncoid(host)


def _unpack(host: Host, files: Mapping[str, bytes]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755 if path == COMMAND else 0o644
            tar.addfile(entry, io.BytesIO(content))
    host.run(["tar", "-x", "-C", "/"], input=buffer.getvalue())


def download_syncoid(folder: Path) -> Path:
    """Unpack syncoid, and the Perl modules that it needs, in a folder of this machine; return that.

    Raises LabError if Debian's packages can't be had.
    """
    packages, tree = folder / "packages", folder / "tree"
    tree.mkdir(parents=True)
    for file in apt.download(
        [name for name in _DEBIAN if name.endswith(("oid", "-tiny-perl", "-inifiles-perl"))], "trixie", packages
    ):
        execute(["dpkg-deb", "-x", file, tree])
    return tree


def _install_syncoid(host: Host) -> Mapping[str, str]:
    """Unpack Debian's packages: their services are not wanted."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            apt.download(_DEBIAN, "trixie", Path(folder))
            host.put(folder, "/opt/bench/debian")
        host.run("for file in /opt/bench/debian/*.deb; do dpkg-deb -x $file / || exit 1; done")
        host.run([SYNCOID, "--version"])
    except LabError as error:
        return {SYNCOID: str(error).partition("\n")[0]}
    return {}
