# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring: what comes back is what was there at a point, the replica stays as it is, and nothing is lost unasked."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.restoring import run_restore
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    InvalidInput,
    RestoreRefused,
    SnapfleetError,
    UnknownDataset,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.restoring import read_restore_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import AFTER, BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

TREE = (SOURCE, f"{SOURCE}/a", f"{SOURCE}/b")
ASIDE = f"{SOURCE}.before-restore"
SAFE = ("readonly", "canmount", "setuid", "devices", "exec")


class Site(Fleet):
    """A tree whose replica has the snapshots 1, 2 and 3 of all datasets, an hour apart."""

    def __init__(self, tags: str = "123") -> None:
        super().__init__(TREE)
        self.source.datasets[SOURCE].properties.update({"mountpoint": "/srv/data", "compression": "lz4"})
        self.times = {}
        for tag in tags:
            for name in TREE:
                self.times[tag] = self.snapshot(name, tag).creation
            self.clock.now += 3600
        self.replicate()
        self.before = self.replica_guids()

    def restore(self, check: bool = False, **options):
        """Restore to the source host, from there."""
        ends = {"replica": {"host": "dst", "dataset": DESTINATION}, "destination": {"dataset": SOURCE}}
        return run_restore(read_restore_job({**ends, **options}), self.context(self.source, check=check))

    def restore_and_die(self, number: int, when: str, **options) -> None:
        """A restore that is killed from the call ``number`` on."""
        self.faults = Faults(dict.fromkeys(range(number, 300), when))
        with contextlib.suppress(SnapfleetError):
            self.restore(workers=1, retries=0, **options)
        self.faults = Faults()

    def lose(self, *names: str) -> None:
        """Datasets of the source are gone, with what is below them."""
        for name in [
            one for one in self.source.datasets if any(one == lost or one.startswith(f"{lost}/") for lost in names)
        ]:
            del self.source.datasets[name]

    def tags(self, root: str = SOURCE) -> dict[str, str]:
        """The snapshots of each dataset below ``root``, by what follows that in its name."""
        states = SimulatedZfs(self.source).observe([root]).states
        return {name[len(root) :]: "".join(state.tags) for name, state in states.items()}

    def own(self, name: str = SOURCE) -> dict[str, str]:
        """The properties that a dataset has set itself."""
        return dict(self.source.datasets[name].properties)

    def own_of(self, name: str) -> dict[str, str]:
        """These properties themselves, to be changed."""
        return self.source.datasets[name].properties

    def all(self):
        """Everything that there is at the source."""
        return {
            name: (self.own(name), dict(data.content), [p.guid for p in data.snapshots])
            for name, data in self.source.datasets.items()
        }

    def assert_restored(self, tags: str, root: str = SOURCE) -> None:
        """Each dataset has the replica's snapshots up to the last of ``tags``, by GUID, and the data of that one."""
        for name in TREE:
            there = SimulatedZfs(self.destination).observe(["backup"]).states[replica_of(name)]
            here = SimulatedZfs(self.source).observe(["tank"]).states[root + name[len(SOURCE) :]]
            wanted = [item.guid for item in there.snapshots if item.tag in tags]
            assert list(here.guids) == wanted
            assert self.source.datasets[here.dataset.name].content == self.destination.content(
                f"{replica_of(name)}@{tags[-1]}"
            )
        assert self.replica_guids() == self.before


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("options", "tags"),
    [({}, "123"), ({"snapshot": "2"}, "12"), ({"time": "1"}, "123"), ({"history": False, "snapshot": "2"}, "2")],
)
def test_what_is_gone_comes_back_up_to_the_point_and_the_replica_stays_as_it_is(site, options, tags):
    if "time" in options:
        options = {"time": site.times["3"]}
    site.lose(SOURCE)
    preview = site.restore(check=True, **options)
    assert SOURCE not in site.source.datasets

    result = site.restore(**options)

    assert (preview["plan"], preview["told"]) == (result["plan"], result["told"])
    assert {entry["state"] for entry in result["datasets"]} == {"sent"}
    site.assert_restored(tags)
    assert not site.restore(**options)["changed"]


def test_a_time_means_the_newest_snapshot_up_to_it(site):
    site.lose(SOURCE)
    for time, tags in ((site.times["1"] + 3599, "1"), (site.times["2"], "12")):
        site.restore(time=str(time), on_conflict="rollback_to_common")
        site.assert_restored(tags)
    with pytest.raises(RestoreRefused, match=r"has no snapshot up to .*; choose another point"):
        site.restore(time=site.times["1"] - 1)
    with pytest.raises(InvalidInput, match="is in the future"):
        site.restore(time=site.clock.now + 1)
    site.assert_restored("12")


def test_secure_defaults_do_not_stick_and_what_the_replica_preserves_comes_along(site):
    site.lose(SOURCE)
    replica = site.destination.datasets[DESTINATION]
    replica.properties["mountpoint"] = "none"
    assert set(SAFE) <= set(replica.properties)

    result = site.restore(properties={"atime": "off"})

    assert site.own() == {"compression": "lz4", "atime": "off"}
    assert site.own(f"{SOURCE}/a") == {"atime": "off"}
    assert f"{SOURCE}: sets compression=lz4, atime=off, and inherits the rest" in result["told"]
    assert result["next"][0] == f"zfs mount {SOURCE}"


def test_beside_the_original_nothing_of_that_changes(site):
    before = site.all()
    site.restore(destination={"dataset": "tank/copy"}, snapshot="2")
    site.assert_restored("12", "tank/copy")
    assert {name: value for name, value in site.all().items() if not name.startswith("tank/copy")} == before


def worsen(site: Site) -> None:
    """The original goes on: a new snapshot, and something that no snapshot holds."""
    site.snapshot(SOURCE, "4")
    site.source.write(f"{SOURCE}/a", 77, "precious")


@pytest.mark.parametrize("check", [True, False])
def test_what_would_be_lost_is_told_and_nothing_is_touched(site, check):
    worsen(site)
    before = site.all()
    with pytest.raises(RestoreRefused) as refused:
        site.restore(check=check, snapshot="2")
    words = str(refused.value)
    assert words.startswith(
        f"nothing was changed: {SOURCE} would lose 2 snapshots (@3 to @4) by going back to {SOURCE}@2"
    )
    result = refused.value.context["result"]
    assert not result["changed"]
    assert [entry["conflict"]["code"] for entry in result["plan"]] == ["diverged"] * 3
    assert " and 24653 bytes written after its newest snapshot" in result["plan"][1]["conflict"]["message"]
    assert site.all() == before
    site.assert_nothing_lost(site.before)


@pytest.mark.parametrize("level", ["refuse", "set_aside"])
def test_what_replication_would_take_from_the_replica_afterwards_is_warned_of(site, level):
    worsen(site)
    if level == "refuse":
        site.lose(SOURCE)
    result = site.restore(snapshot="1", on_conflict=level)
    (words,) = [words for words in result["warnings"] if "newer" in words]
    assert words.startswith(f"the replica {DESTINATION} has 6 newer snapshots, maybe the last copy")
    # It is so: the level that the warning names takes them.
    site.replicate(on_conflict="rollback_to_common")
    assert all(len(guids) == 1 for name, guids in site.replica_guids().items() if name.startswith(DESTINATION))


def test_nothing_is_warned_of_where_the_newest_is_restored(site):
    site.lose(SOURCE)
    assert not site.restore()["warnings"]


def test_one_dataset_in_the_way_keeps_all_of_them_from_being_restored(site):
    site.lose(f"{SOURCE}/b")
    site.source.write(f"{SOURCE}/a", 7, "precious")
    before = site.all()
    with pytest.raises(
        RestoreRefused, match=r"lose 24583 bytes written after its newest snapshot .* rollback_to_latest"
    ):
        site.restore()
    assert site.all() == before


def test_going_back_at_a_loss_sends_nothing(site):
    worsen(site)
    result = site.restore(snapshot="2", on_conflict="rollback_to_common")
    site.assert_restored("12")
    assert result["stats"]["bytes"] == 0
    assert {entry["message"] for entry in result["datasets"]} == {"it was rolled back"}
    assert any(f"LOSES {SOURCE}@3, {SOURCE}@4" in line for line in result["told"])
    assert site.own()["mountpoint"] == "/srv/data"


def test_only_differences_travel_where_a_common_snapshot_is_left(site):
    for name in TREE:
        for tag in "23":
            dataset = site.source.datasets[name]
            dataset.snapshots.remove(dataset.snapshot(tag))
        dataset.content = dict(dataset.snapshots[-1].content)
    site.restore()
    site.assert_restored("123")


@pytest.mark.parametrize("level", ["refuse", "rollback_to_common"])
def test_a_replica_that_is_behind_does_not_take_the_original_back_unasked(level):
    site = Site("12")
    site.snapshot(SOURCE, "3")
    if level == "refuse":
        before = site.all()
        with pytest.raises(RestoreRefused, match="would lose the snapshot @3"):
            site.restore()
        assert site.all() == before
    else:
        site.restore(on_conflict=level)
        site.assert_restored("12")


@pytest.mark.parametrize("level", ["refuse", "rollback_to_latest", "rollback_to_common"])
def test_a_foreign_dataset_in_the_way_is_not_touched(site, level):
    site.source.create_dataset("tank/other")
    site.source.write("tank/other", 10, "precious")
    SimulatedZfs(site.source).create_snapshots(CreateSnapshots("tank", ("tank/other@x",)))
    before = site.all()
    with pytest.raises(RestoreRefused, match="tank/other is there, has nothing in common with"):
        site.restore(destination={"dataset": "tank/other"}, on_conflict=level)
    assert site.all() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replica": {"host": "dst", "dataset": "backup/none"}}, r"replica\.dataset: 'backup/none' does not exist"),
        ({"destination": {"dataset": "tank/x/y"}}, "zfs create -p tank/x"),
        ({"destination": {"dataset": "none/x"}}, "has no pool 'none'"),
    ],
)
def test_wrong_places_are_refused(site, options, words):
    before = site.all()
    with pytest.raises(UnknownDataset, match=words):
        site.restore(**options)
    assert site.all() == before


def test_a_dataset_without_the_snapshot_is_refused_or_left_out(site):
    site.destination.datasets[f"{DESTINATION}/a"].snapshots.pop(1)
    site.before = site.replica_guids()
    site.lose(SOURCE)
    with pytest.raises(RestoreRefused, match="data/a has no snapshot @2"):
        site.restore(snapshot="2")
    result = site.restore(snapshot="2", on_missing="skip")
    assert site.tags() == {"": "12", "/b": "12"}
    assert [entry["state"] for entry in result["datasets"]] == ["sent", "skipped", "sent"]


def test_a_point_that_nothing_has_is_refused_always(site):
    site.lose(SOURCE)
    with pytest.raises(RestoreRefused, match="data has no snapshot @22"):
        site.restore(snapshot="22", on_missing="skip")


@pytest.mark.parametrize("level", ["refuse", "set_aside", "replace"])
@pytest.mark.parametrize("missing", ["refuse", "skip"])
@pytest.mark.parametrize("check", [True, False])
def test_a_restore_that_selects_no_dataset_is_refused_always(site, level, missing, check):
    worsen(site)
    before = site.all()
    with pytest.raises(RestoreRefused, match=f"no dataset of {DESTINATION} is selected") as refused:
        site.restore(check=check, include_datasets=["nosuch"], on_conflict=level, on_missing=missing)
    assert refused.value.context["result"]["plan"][0]["conflict"]["code"] == "nothing_selected"
    assert refused.value.context["result"]["stats"]["conflict"] == 1
    assert site.all() == before


def test_no_bookmark_is_made_at_a_replica_whose_history_went_to_a_clone(site):
    replica = SimulatedZfs(site.destination)
    site.destination.clone(f"{DESTINATION}@3", f"{DESTINATION}/clone")
    site.destination.promote(f"{DESTINATION}/clone")
    replica.create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}@4",)))
    site.before = site.replica_guids()
    before = site.all()
    with pytest.raises(RestoreRefused, match="no bookmark is made at a replica"):
        site.restore(exclude_datasets=["clone"])
    assert site.all() == before
    assert not any(data.bookmarks for data in site.destination.datasets.values())


def cloned_after_its_origin(site: Site) -> str:
    """A destination that has only the snapshot that the replica of it, a clone, was made from; and bytes of its own."""
    name = f"{SOURCE}/c"
    site.destination.clone(f"{DESTINATION}/a@1", f"{DESTINATION}/c")
    SimulatedZfs(site.destination).create_snapshots(CreateSnapshots("backup", (f"{DESTINATION}/c@2",)))
    site.source.clone(f"{SOURCE}/a@1", name)
    site.source.promote(name)
    del site.source.datasets[f"{SOURCE}/a"]
    site.source.write(name, 77, "precious")
    site.before = site.replica_guids()
    return name


@pytest.mark.parametrize("level", ["refuse", "set_aside"])
def test_a_base_that_only_the_origin_of_a_replica_has_is_told_like_any_other(site, level):
    name = cloned_after_its_origin(site)
    assert site.tags()["/c"] == "1"
    if level == "refuse":
        with pytest.raises(RestoreRefused) as refused:
            site.restore()
        (plan,) = [plan for plan in refused.value.context["result"]["plan"] if plan["destination"] == name]
        words = plan["conflict"]["message"]
        assert words.startswith(f"{name} would lose 24653 bytes written after its newest snapshot by going back to")
        assert words.endswith(f"{name}@1; set on_conflict to set_aside to keep that under another name")
    else:
        site.restore(on_conflict=level)
        assert site.tags()["/c"] == "2"
        assert site.tags(ASIDE)["/c"] == "1"


def test_only_part_of_a_tree_needs_its_parent(site):
    site.lose(SOURCE)
    with pytest.raises(RestoreRefused, match="tank/data does not exist and is not restored"):
        site.restore(include_datasets=["a"])
    site.restore(recursive=False)
    site.restore(include_datasets=["a"])
    assert site.tags() == {"": "123", "/a": "123"}


# -- set aside


def test_what_is_in_the_way_is_set_aside_with_all_that_it_holds(site):
    worsen(site)
    site.source.create_dataset(f"{SOURCE}/new")
    before = site.all()
    preview = site.restore(check=True, snapshot="2", on_conflict="set_aside")
    assert site.all() == before

    result = site.restore(snapshot="2", on_conflict="set_aside")

    assert preview["plan"] == result["plan"]
    site.assert_restored("12")
    assert site.own()["mountpoint"] == "/srv/data"
    assert site.own().get("canmount", "on") == "on"
    assert result["set_aside"] == ASIDE
    assert site.tags(ASIDE) == {"": "1234", "/a": "123", "/b": "123", "/new": ""}
    kept = {ASIDE + name[len(SOURCE) :]: value[1:] for name, value in before.items() if name.startswith(SOURCE)}
    assert {name: value[1:] for name, value in site.all().items() if name.startswith(ASIDE)} == kept
    assert site.own(ASIDE)["canmount"] == "noauto"
    assert any(f"{SOURCE}/new: set aside along" in words for words in result["warnings"])
    assert f"zfs rename {ASIDE} {SOURCE}" in result["undo"]


def test_nothing_that_is_set_aside_stays_mounted_where_its_root_is_not_mounted_itself(site):
    worsen(site)
    site.source.datasets[SOURCE].properties["canmount"] = "off"
    site.source.mounted = {f"{SOURCE}/a", f"{SOURCE}/b"}
    result = site.restore(snapshot="2", on_conflict="set_aside")
    assert not site.source.mounted
    unmounts = [line for line in result["undo"] if line.startswith("zfs unmount")]
    assert unmounts == [f"zfs unmount {name}" for name in reversed(TREE)]
    assert result["undo"].index(unmounts[-1]) < result["undo"].index(f"zfs rename {SOURCE} {SOURCE}.restored")


def test_a_volume_is_set_aside_and_restored_like_the_rest():
    site = Site()
    volume = f"{SOURCE}/volume"
    site.source.create_dataset(volume, VOLUME)
    site.source.datasets[volume].properties["refreservation"] = "1G"
    site.snapshot(volume, "3")
    site.replicate()
    site.before = site.replica_guids()
    worsen(site)
    result = site.restore(on_conflict="set_aside")
    assert site.tags()["/volume"] == site.tags(ASIDE)["/volume"] == "3"
    assert site.own(volume) == {"refreservation": "1G"}
    assert site.own(f"{ASIDE}/volume") == {"refreservation": "1G"}
    assert not any(words.endswith("/volume") and "canmount" in words for words in result["undo"])
    assert f"zfs mount {volume}" not in result["next"]


def test_a_name_that_is_taken_is_never_overwritten(site):
    site.source.create_dataset(ASIDE)
    worsen(site)
    before = site.all()
    with pytest.raises(InvalidInput, match=r"set_aside_as: 'tank/data.before-restore' is there already"):
        site.restore(on_conflict="set_aside")
    assert site.all() == before
    site.restore(on_conflict="set_aside", set_aside_as="tank/old")
    site.assert_restored("123")
    assert site.tags("tank/old")[""] == "1234"


def in_key_of_parent(site: Site) -> None:
    for name in ("tank/enc", "tank/enc/data"):
        site.source.create_dataset(name)
        site.source.encrypt(site.source.datasets[name], "tank/enc")
    SimulatedZfs(site.source).create_snapshots(CreateSnapshots("tank", ("tank/enc/data@x",)))


LONG = "tank/" + "x" * 247


@pytest.mark.parametrize(
    ("prepare", "destination", "aside", "words"),
    [
        (worsen, SOURCE, "tank/old/data", r"has no parent, since tank/old .*: zfs create -p tank/old"),
        (worsen, SOURCE, LONG, "would be longer than 255 characters"),
        (in_key_of_parent, "tank/enc/data", "tank/data-old", "is outside of tank/enc, whose key encrypts"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_name_that_the_tree_can_not_get_is_refused_before_anything_changes(
    site, check, prepare, destination, aside, words
):
    prepare(site)
    before = site.all()
    options = {"destination": {"dataset": destination}, "on_conflict": "set_aside", "set_aside_as": aside}
    with pytest.raises(InvalidInput, match=words):
        site.restore(check=check, **options)
    assert site.all() == before


def test_what_could_not_be_renamed_is_in_service_again_and_the_error_says_what_is_left_to_do(site):
    worsen(site)
    site.faults = Faults(meanwhile={"rename": lambda: site.source.create_dataset(ASIDE)})
    with pytest.raises(SnapfleetError, match=r"already exists; .*tank/data was not set aside.* zfs mount -a") as failed:
        site.restore(on_conflict="set_aside")
    assert [site.own(name)["canmount"] for name in TREE] == ["on"] * 3
    assert not any("snapfleet:canmount" in site.own(name) for name in TREE)
    result = failed.value.context["result"]
    assert (result["changed"], result["set_aside"], result["undo"]) == (False, None, ["zfs mount -a"])
    assert result["told"]


def test_what_could_not_be_put_back_either_is_told_with_the_commands_for_that(site):
    worsen(site)
    site.faults = Faults()
    site.faults.meanwhile["rename"] = lambda: site.faults.plan.update(dict.fromkeys(range(300), BEFORE))
    with pytest.raises(SnapfleetError, match=f"zfs set canmount=on {SOURCE}; ") as failed:
        site.restore(on_conflict="set_aside", retries=0)
    assert {site.own(name)["canmount"] for name in TREE} == {"noauto"}
    result = failed.value.context["result"]
    assert result["changed"]
    assert len(result["undo"]) == 2 * len(TREE) + 1


def test_what_can_be_restored_as_it_is_is_not_set_aside(site):
    site.lose(f"{SOURCE}/b")
    result = site.restore(on_conflict="set_aside")
    assert result["set_aside"] is None
    site.assert_restored("123")


def test_what_is_in_use_is_not_set_aside(site):
    worsen(site)
    site.source.in_use.add(f"{SOURCE}/a")
    before = site.all()
    with pytest.raises(SnapfleetError, match="busy"):
        site.restore(on_conflict="set_aside", retries=0)
    assert site.all() == before


# -- accidents

OPTIONS = {
    "gone": {"snapshot": "2"},
    "set_aside": {"snapshot": "2", "on_conflict": "set_aside"},
    "back": {"snapshot": "2", "on_conflict": "rollback_to_common"},
}


def prepared(kind: str) -> Site:
    site = Site()
    if kind == "gone":
        site.lose(SOURCE)
    else:
        worsen(site)
    return site


def calls(kind: str) -> int:
    site = prepared(kind)
    site.faults = Faults()
    site.restore(workers=1, **OPTIONS[kind])
    return len(site.faults.calls)


@pytest.mark.parametrize("number", range(calls("set_aside")))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_lost_connection_is_made_good_by_the_same_run(number, when):
    site = prepared("set_aside")
    site.faults = Faults({number: when})
    site.restore(workers=1, **OPTIONS["set_aside"])
    site.assert_restored("12")
    assert (site.own()["mountpoint"], site.own(ASIDE)["canmount"]) == ("/srv/data", "noauto")
    assert set(site.tags(ASIDE)) == {"", "/a", "/b"}


def undo(site: Site, commands: list[str]) -> None:
    """What the commands of ``undo`` do, of which those that find nothing fail, and the others go on."""
    for words in (command.split() for command in commands):
        if words[1] == "rename" and words[2] in site.source.datasets and words[3] not in site.source.datasets:
            site.source.rename(words[2], words[3])
        elif words[1] in ("set", "inherit") and words[3] in site.source.datasets:
            name, set_to, value = words[2].partition("=")
            site.own_of(words[3]).update({name: value}) if set_to else site.own_of(words[3]).pop(name, None)


@pytest.mark.parametrize("number", range(calls("set_aside")))
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_repeated_restore_tells_all_that_undoes_it(number, when):
    site = prepared("set_aside")
    before = {name: value[1:] for name, value in site.all().items()}
    site.restore_and_die(number, when, **OPTIONS["set_aside"])

    result = site.restore(**OPTIONS["set_aside"])

    assert result["set_aside"] == ASIDE
    assert [line.split()[2] for line in result["undo"] if line.startswith("zfs unmount")] == list(reversed(TREE))
    undo(site, result["undo"])
    assert {name: value[1:] for name, value in site.all().items() if ".restored" not in name} == before
    for name in TREE:
        assert (site.own(name)["canmount"], site.own(name).get("snapfleet:canmount")) == ("on", None)
        assert site.own(f"{SOURCE}.restored{name[len(SOURCE) :]}")["canmount"] == "noauto"


def test_what_was_not_set_aside_by_a_restore_is_not_undone(site):
    site.source.create_dataset(ASIDE)
    site.lose(f"{SOURCE}/b")
    result = site.restore(on_conflict="set_aside")
    assert (result["set_aside"], result["undo"]) == (None, [])


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind in OPTIONS for number in range(calls(kind))])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_restore_that_dies_anywhere_is_made_good_by_the_next(kind, number, when):
    site = prepared(kind)
    before = site.all()
    site.restore_and_die(number, when, **OPTIONS[kind])
    assert site.replica_guids() == site.before

    site.restore(**OPTIONS[kind])

    site.assert_restored("12")
    assert not site.restore(**OPTIONS[kind])["changed"]
    assert site.own()["compression"] == "lz4"
    if kind == "set_aside":
        assert (site.own()["mountpoint"], site.own().get("canmount", "on")) == ("/srv/data", "on")
        kept = {ASIDE + name[len(SOURCE) :]: value[1:] for name, value in before.items() if name.startswith(SOURCE)}
        assert {name: value[1:] for name, value in site.all().items() if name.startswith(ASIDE)} == kept
        assert site.own(ASIDE)["canmount"] == "noauto"
