import pytest

from boxcar.versions import Lineage, Version, change_since, next_version

LATEST = Lineage(Version(1, 9, 3), "interface", "code")


@pytest.mark.parametrize(
    ("latest", "interface", "code", "expected", "change"),
    [
        (None, "i", "c", "1.0.0", "first"),
        (LATEST, "interface", "code", "1.9.4", "patch"),
        (LATEST, "interface", "other", "1.10.0", "minor"),
        (LATEST, "other", "code", "2.0.0", "major"),
        (LATEST, "other", "other", "2.0.0", "major"),
    ],
)
def test_a_version_says_what_changed(latest, interface, code, expected, change):
    assert str(next_version(latest, interface, code)) == expected
    assert change_since(latest, interface, code) == change


def test_sort_keys_are_in_the_order_of_versions():
    versions = [Version(1, 0, 0), Version(1, 0, 10), Version(1, 9, 0), Version(1, 10, 0), Version(10, 0, 0)]
    assert sorted(version.sort_key for version in versions) == [version.sort_key for version in versions]
    assert Version(1, 2, 3).sort_key == "000001.000002.000003"


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "", "1.0.0\n"])
def test_what_is_not_three_numbers_is_refused(text):
    with pytest.raises(ValueError, match="write three numbers"):
        Version.parse(text)
