"""What the notebooks print, pasted into a shell: the pod gets the page in another lab, too."""

from pathlib import Path

from helpers.base import contents
from series.run import notebooks
from tests.conftest import NAME, fresh_lab
from tests.pasting.shell import Shell
from tests.pasting.transcript import steps

REQUEST = "kubectl --context gke exec "


def test_the_printed_commands_lead_to_the_page(meshes):
    made = Path(meshes["KUBECONFIG"]).parent
    printed = [step for each in notebooks(contents.ARTICLE) for step in steps(made / "run" / each.name)]
    [first, *_] = [step for step in printed if step.command.startswith(REQUEST)]
    assert "HTTP/1.1 200 OK" in first.output
    with fresh_lab(name := f"{NAME[:15]}-paste") as environment:
        shell = Shell(environment, made.name, name)
        assert {step.command: wrong for step in printed if (wrong := shell.paste(step))} == {}
