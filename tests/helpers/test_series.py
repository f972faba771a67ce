"""What the terminal hears of a notebook's waits."""

from helpers import series


def test_a_long_wait_is_heard_of_once_a_minute(capsys):
    waits = series.Waits()
    for second in range(150):
        waits.write(f"\r… EKS cluster tutorial: CREATING ({second} s)     ")
    waits.write("\raws eks describe-cluster → ACTIVE\n")
    said = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert said == ["… EKS cluster tutorial: CREATING (60 s)", "… EKS cluster tutorial: CREATING (120 s)"]


def test_the_next_wait_is_heard_of_too_and_short_ones_are_not(capsys):
    waits = series.Waits()
    for what, end in (("one", 61), ("two", 59), ("three", 61)):
        for second in range(end):
            waits.write(f"… {what}: CREATING ({second} s)")
    assert [line.split()[1] for line in capsys.readouterr().out.split("\n") if line] == ["one:", "three:"]
