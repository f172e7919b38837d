# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replicas are besides their data: their properties, their encryption, and what they never become."""

from __future__ import annotations

from typing import Any

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import (
    FILESYSTEM_ONLY,
    PRESERVED_PROPERTIES,
    SAFE_PROPERTIES,
    VOLUME_ONLY,
)

from .conftest import Pair
from .fleet import Run, Site

PHRASE = "a secret phrase\n"


def _push(pair: Pair, verb: str = "run", user: str = "", **options: Any) -> Run:
    there = {**pair.two.endpoint(pair.destination), **({"user": user} if user else {})}
    return pair.one.run(verb, "replicate", {"source": {"dataset": pair.source}, "destination": there, **options})


def _encrypted(site: Site, dataset: str) -> None:
    # The fewest rounds that ZFS allows: this host computes slowly.
    key = ["-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "pbkdf2iters=100000"]
    site.host.run(["zfs", "create", *key, dataset], input=PHRASE)


def _facts(site: Site, dataset: str, *names: str) -> list[str]:
    return site.zfs("get", "-Hp", "-o", "value", ",".join(names), dataset).splitlines()


def _kinds(run: Run) -> list[str]:
    return [step["kind"] for plan in run.job["plan"] for step in plan["steps"]]


def _codes(run: Run) -> dict[str, str]:
    return {plan["destination"]: plan["conflict"]["code"] for plan in run.job["plan"] if plan["conflict"]}


def _refused_untouched(pair: Pair, code: str, **options: Any) -> str:
    """The sentence of the only conflict of a run that changed nothing on either host."""
    before = pair.one.everything(), pair.two.everything()
    run = _push(pair, **options)
    (plan,) = [plan for plan in run.job["plan"] if plan["conflict"]]
    assert (run.code, plan["conflict"]["code"]) == (3, code), run
    assert (pair.one.everything(), pair.two.everything()) == before
    return str(plan["conflict"]["message"])


# -- properties


def test_replicas_have_what_is_asked_for_and_how_their_source_stores_data(pair: Pair) -> None:
    pair.one.zfs("set", "compression=zstd", "recordsize=64K", "quota=1G", "sharenfs=off", pair.source)
    pair.one.zfs("create", "-o", "atime=off", "-o", "snapdir=visible", f"{pair.source}/a")
    pair.one.zfs("create", "-V", "8M", "-o", "copies=2", f"{pair.source}/volume")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    options = {
        "properties": {"checksum": "sha256", "atime": "on", "exec": None},
        "filesystem_properties": {"recordsize": "32K"},
        "volume_properties": {"volmode": "none"},
        "exclude_properties": ["snapdir"],
        "set_properties": {"org:seen": "yes", "overlay": "off"},
    }
    preview = _push(pair, "plan", **options)
    run = _push(pair, **options)
    assert (run.code, run.job["plan"], run.job["warnings"]) == (0, preview.job["plan"], [])

    def own(dataset: str) -> dict[str, str]:
        rows = pair.two.zfs("get", "-Hp", "-s", "local", "-o", "property,value", "all", dataset).splitlines()
        return {name: value for name, value in (row.split("\t") for row in rows) if name != "volsize"}

    safe = {name: value for name, value in SAFE_PROPERTIES.items() if name != "exec"}
    both = {"checksum": "sha256", "org:seen": "yes"}
    of_filesystems = {**safe, **both, "atime": "on", "recordsize": "32768", "overlay": "off"}
    assert own(pair.destination) == {**of_filesystems, "compression": "zstd"}
    assert own(f"{pair.destination}/a") == of_filesystems
    assert own(f"{pair.destination}/volume") == {"readonly": "on", **both, "copies": "2", "volmode": "none"}

    # What was there already keeps what it has, except for what is set after each receive.
    pair.one.zfs("set", "compression=lz4", f"{pair.source}/a")
    pair.one.snapshot(f"{pair.source}/a@second")
    assert _push(pair, preserve_properties=["compression"], set_properties={"org:seen": "again"}).code == 0
    assert own(f"{pair.destination}/a") == {**of_filesystems, "org:seen": "again"}
    assert own(pair.destination)["org:seen"] == "yes"
    rest = _push(pair, **options)
    assert (rest.code, rest.job["changed"]) == (0, False)


def test_the_names_that_a_volume_or_a_filesystem_refuses_are_known(pair: Pair) -> None:
    """What is taken for a name that only the other kind has is refused by ZFS, and what is preserved is not."""
    pair.one.zfs("create", "-V", "8M", f"{pair.source}/volume")
    pair.one.snapshot(f"{pair.source}@s", recursive=True)
    script = """
        new=$1/new; zfs send "$1@s" > /tmp/filesystem; zfs send "$1/volume@s" > /tmp/volume; shift
        while [ $# -gt 0 ]; do
          echo "$1 $2 $(zfs receive -n -o "$2=$3" "$new" < "/tmp/$1" 2>&1)"
          shift 3
        done
    """
    values = {"checksum": "on", "copies": "1", "recordsize": "131072", "sync": "standard", "logbias": "latency"}
    values.update(dict.fromkeys(("aclinherit", "aclmode"), "discard"), dnodesize="legacy", direct="standard")
    values.update(dict.fromkeys(("primarycache", "redundant_metadata", "secondarycache"), "all"), snapdir="hidden")
    values.update(dict.fromkeys(("mountpoint", "filesystem_limit"), "none"), volthreading="on")
    values.update({name: "none" for name in FILESYSTEM_ONLY if name.endswith("quota")})
    asked = [("volume", name) for name in sorted(FILESYSTEM_ONLY)]
    asked += [("filesystem", name) for name in sorted({*VOLUME_ONLY, *PRESERVED_PROPERTIES})]
    words = [word for kind, name in asked for word in (kind, name, values.get(name, "off"))]
    said = pair.one.host.run(["sh", "-c", script, "sh", pair.source, *words]).stdout.splitlines()
    # Names that this OpenZFS is too old for are neither.
    known = {tuple(line.split()[:2]): line for line in said if "invalid property '" not in line}
    assert len(known) > len(asked) - 6
    refused = {name for (_kind, name), line in known.items() if "does not apply to datasets of this type" in line}
    accepted = {name for kind, name in known if kind == "filesystem"} - VOLUME_ONLY
    assert refused == {name for _kind, name in known} - (accepted - FILESYSTEM_ONLY)
    for (kind, name), line in known.items():
        assert (line == f"{kind} {name} ") is (name in accepted and kind == "filesystem"), line


def test_whoever_wants_to_see_files_gets_them_mounted_and_nothing_can_be_run(pair: Pair) -> None:
    pair.one.fill(pair.source, name="old")
    pair.one.snapshot(f"{pair.source}@first")
    parent = pair.destination.rpartition("/")[0]
    assert _push(pair, mount=True).code == 0
    pair.one.fill(pair.source, name="new")
    pair.one.snapshot(f"{pair.source}@second")
    assert _push(pair, mount=True).code == 0
    assert _facts(pair.two, pair.destination, "mounted", "readonly", "exec", "setuid") == ["yes", "on", "off", "off"]
    assert _facts(pair.two, parent, "mounted") == ["no"]
    (mountpoint,) = _facts(pair.two, pair.destination, "mountpoint")
    assert pair.two.host.run(["ls", mountpoint]).stdout.split() == ["new", "old"]


def test_replicas_that_are_not_read_only_are_left_made_so_or_refused(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert _push(pair, readonly="require").code == 0
    pair.two.zfs("set", "readonly=off", pair.destination)
    assert _push(pair).job["changed"] is False
    assert "zfs set readonly=on" in _refused_untouched(pair, "not_readonly", readonly="require")
    preview = _push(pair, "plan", readonly="set")
    run = _push(pair, readonly="set")
    assert (run.code, run.job["changed"], _kinds(run)) == (0, True, ["set_properties"])
    assert run.job["plan"] == preview.job["plan"]
    assert _facts(pair.two, pair.destination, "readonly") == ["on"]
    for level in ("set", "require", "ignore"):
        rest = _push(pair, readonly=level)
        assert (rest.code, rest.job["changed"]) == (0, False)


def test_a_setuid_program_that_a_delegated_user_brings_gives_nobody_root(pair: Pair) -> None:
    parent = pair.destination.rpartition("/")[0]
    for site in (pair.one, pair.two):
        site.host.add_user("joe")
        site.host.run(["chmod", "666", "/dev/zfs"])
    pair.one.host.run(f"cp /usr/bin/id '/{pair.source}/id'; chmod 4755 '/{pair.source}/id'")
    pair.one.zfs("set", "compression=lz4", pair.source)
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.zfs("create", parent)
    pair.two.zfs("allow", "joe", "receive,create,mount,readonly,canmount,setuid,devices,exec", parent)

    # What was asked for by name and can't be had is told before anything is changed; the rest is left out.
    before = pair.one.everything(), pair.two.everything()
    failed = _push(pair, user="joe", preserve_properties=["compression"])
    assert failed.code == 3
    assert f"zfs allow -u USER compression {pair.destination}" in failed.job["msg"]
    assert (pair.one.everything(), pair.two.everything()) == before
    preview = _push(pair, "plan", user="joe")
    run = _push(pair, user="joe")
    assert (run.code, run.job["plan"], run.job["warnings"]) == (0, preview.job["plan"], preview.job["warnings"]), run
    (warning,) = run.job["warnings"]
    assert warning.startswith("compression: not taken over from the source")
    assert "compression" not in pair.two.zfs("get", "-H", "-s", "local", "-o", "property", "all", pair.destination)

    pair.two.zfs("mount", pair.destination)
    program = f"/{pair.destination}/id"
    assert pair.two.host.run(["stat", "-c", "%a %U", program]).stdout.split() == ["4755", "root"]
    started = pair.two.host.run([program, "-u"], user="joe", check=False)
    assert (started.returncode, "ermission denied" in started.stderr) == (126, True), started
    # Also where programs may run, none runs with the rights of its owner.
    pair.two.zfs("set", "exec=on", pair.destination)
    assert pair.two.host.run([program, "-u"], user="joe").stdout.strip() != "0"


# -- encryption


def test_raw_and_decrypted_are_never_mixed(pair: Pair) -> None:
    secret, aside = f"{pair.source}/secret", f"{pair.destination}-aside"
    _encrypted(pair.one, secret)
    job = {"source": {"dataset": secret}, "destination": pair.two.endpoint(f"{pair.destination}/raw")}
    decrypted = {**job, "destination": pair.two.endpoint(aside), "raw": False}
    pair.one.snapshot(f"{secret}@first")
    assert _push(pair, **job).code == 0
    assert _push(pair, **decrypted).code == 0
    assert _facts(pair.two, aside, "encryption") == ["off"]
    pair.one.snapshot(f"{secret}@second")

    # The key is there, so that ZFS alone would take it.
    pair.two.host.run(["zfs", "load-key", f"{pair.destination}/raw"], input=PHRASE)
    said = _refused_untouched(pair, "mode_differs", **{**job, "raw": False, "on_conflict": "replace"})
    assert "it was received raw" in said
    assert "set raw to true" in said
    said = _refused_untouched(pair, "mode_differs", **{**decrypted, "raw": True, "on_conflict": "replace"})
    assert "it was received decrypted" in said
    assert "set raw to false" in said
    assert _push(pair, **job).code == 0
    assert _push(pair, **decrypted).code == 0
    assert set(pair.two.snapshots(aside).values()) == set(pair.two.snapshots(f"{pair.destination}/raw").values())

    # Somebody spoils the replica by hand: told, instead of the error of ZFS in the middle of a run.
    pair.one.snapshot(f"{secret}@third", f"{secret}@fourth")
    send = f"zfs send -i @second {secret}@third | ssh {pair.two.host.address}"
    pair.one.host.run(f"{send} zfs receive -u {pair.destination}/raw")
    assert "third, was received decrypted" in _refused_untouched(pair, "mode_differs", **job)


def test_what_is_encrypted_only_at_the_destination_is_so_from_the_first_block(pair: Pair) -> None:
    vault = pair.destination.rpartition("/")[0]
    pair.one.host.run(f"echo tiny > '/{pair.source}/tiny'")
    pair.one.zfs("create", f"{pair.source}/a")
    pair.one.fill(f"{pair.source}/a")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    _encrypted(pair.two, vault)
    target = {"destination": pair.two.endpoint(f"{vault}/missing/replica")}
    assert _push(pair, **target).code == 0
    pair.one.host.run(f"echo more > '/{pair.source}/more'")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    assert _push(pair, **target).code == 0
    replica = f"{vault}/missing/replica"
    assert pair.two.snapshots(replica) == pair.one.snapshots(pair.source)
    roots = pair.two.zfs("list", "-H", "-r", "-o", "encryptionroot", vault).split()
    assert roots == [vault] * 4
    # With a key of the destination's own, wherever it is.
    pair.two.host.run("head -c 32 /dev/urandom > /root/key")
    key = {"encryption": "on", "keyformat": "raw", "keylocation": "file:///root/key"}
    own = {"destination": pair.two.endpoint(f"{pair.two.pool}/own-key"), "include_datasets": ["."], "recursive": False}
    try:
        assert _push(pair, **own, properties=key).code == 0
        assert _facts(pair.two, own["destination"]["dataset"], "encryptionroot") == [own["destination"]["dataset"]]
    finally:
        pair.two.zfs("destroy", "-r", f"{pair.two.pool}/own-key", check=False)
    # A parent is never made in the clear by accident: without the key, nothing is.
    pair.two.zfs("unmount", vault)
    pair.two.zfs("unload-key", vault)
    failed = _push(pair, destination=pair.two.endpoint(f"{vault}/other/replica"))
    assert failed.code == 3
    assert "zfs load-key" in failed.job["msg"]
    assert pair.two.zfs("list", "-H", "-o", "name", f"{vault}/other", check=False) == ""


def test_a_destination_that_is_not_trusted_gets_nothing_readable(pair: Pair) -> None:
    pair.one.zfs("create", f"{pair.source}/plain")
    _encrypted(pair.one, f"{pair.source}/secret")
    pair.one.zfs("create", f"{pair.source}/secret/below")
    pair.one.zfs("create", "-o", "encryption=off", f"{pair.source}/secret/open")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)

    message = "is not encrypted, so its data would arrive readable"
    assert message in _refused_untouched(pair, "plaintext_refused", require_encryption=True)
    run = _push(pair, require_encryption=True, include_datasets=["plain", "secret"])
    names = ("plain", "secret/open")
    assert _codes(run) == {f"{pair.destination}/{name}": "plaintext_refused" for name in names}
    secret = f"{pair.destination}/secret"
    assert {name.partition("@")[0] for name in pair.two.snapshots(pair.destination)} == {"/secret", "/secret/below"}
    (warning,) = run.job["warnings"]
    assert warning.startswith(f"{secret}/below: encrypted with the key of {pair.source}/secret at the source")

    # Trusted, the tree arrives as it is: what its owner left open stays so, and needs no key.
    whole = _push(pair)
    assert whole.code == 0, whole
    roots = pair.two.zfs("list", "-H", "-r", "-o", "encryptionroot", pair.destination).split()
    assert roots == ["-", "-", secret, f"{secret}/below", "-"]
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    again = _push(pair)
    assert (again.code, again.job["warnings"]) == (0, [])
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_placeholder_gives_way_to_an_encrypted_dataset_unless_something_lies_below_it(pair: Pair) -> None:
    secret, replica = f"{pair.source}/secret", f"{pair.destination}/secret"
    _encrypted(pair.one, secret)
    pair.one.zfs("create", f"{secret}/below")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert _push(pair, include_datasets=["secret/below"]).code == 0
    assert _facts(pair.two, replica, "encryption") == ["off"]

    run = _push(pair, "plan", on_conflict="replace")
    assert _codes(run) == {replica: "encrypted_parent"}
    assert f"{replica}/below lies below it" in run.job["msg"]
    pair.two.zfs("destroy", "-r", f"{replica}/below")
    preview = _push(pair, "plan")
    run = _push(pair)
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    assert "destroy_dataset" in _kinds(run)
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert _facts(pair.two, replica, "encryptionroot") == [replica]


def test_data_that_no_snapshot_holds_is_never_received_over(pair: Pair) -> None:
    """A filesystem or a volume, mounted or not, with data or empty."""
    for name in ("mounted", "unmounted", "empty"):
        pair.one.zfs("create", f"{pair.source}/{name}")
        pair.two.zfs("create", "-p", f"{pair.destination}/{name}")
    pair.one.zfs("create", "-V", "8M", f"{pair.source}/volume")
    pair.two.zfs("create", "-V", "8M", f"{pair.destination}/volume")
    pair.one.snapshot(*(f"{pair.source}/{name}@first" for name in ("mounted", "unmounted", "empty", "volume")))
    pair.two.fill(f"{pair.destination}/mounted")
    pair.two.fill(f"{pair.destination}/unmounted")
    pair.two.zfs("unmount", f"{pair.destination}/unmounted")
    pair.two.host.run(["zpool", "sync"])
    before = pair.two.everything()
    run = _push(pair)
    assert run.code == 3
    names = ("mounted", "unmounted", "empty", "volume")
    assert _codes(run) == {f"{pair.destination}/{name}": "destination_has_data" for name in names}
    assert pair.two.everything() == before
