"""Changes are announced before they are made, and rejected in read-only mode."""

import pytest

from helpers.base import changes
from helpers.base.errors import ChangeNeededError, SettingsError, TutorialError
from helpers.base.settings import current


def test_a_change_is_made_unless_the_settings_are_read_only(monkeypatch):
    changes.begin("aws ec2 create-vpc --cidr-block 10.0.0.0/16")
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match=r"create-vpc --cidr-block 10\.0\.0\.0/16") as refused:
        changes.begin("aws ec2 create-vpc --cidr-block 10.0.0.0/16")
    assert refused.value.command == "aws ec2 create-vpc --cidr-block 10.0.0.0/16"
    assert isinstance(refused.value, TutorialError)


def test_read_only_is_a_boolean(monkeypatch):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "perhaps")
    with pytest.raises(SettingsError, match="TUTORIAL_READ_ONLY = 'perhaps'"):
        current()
