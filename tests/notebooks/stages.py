"""The stages of the series with example values, and the pictures in notebooks/images that show them.

`python -m tests.notebooks.stages` redraws those files; test_things_picture.py compares them.
They have the addresses that a lab assigns, and invented ids.
"""

from pathlib import Path

from helpers.base.contents import object_keys
from helpers.pictures import svg, things_picture
from helpers.pictures.things import Part, Parts
from tests.notebooks import drawings, drawings_beyond

IMAGES = Path(__file__).parents[2] / "notebooks" / "images"
HOST = "a0c3393cd19ad4432b92ef2ff475adab-1234567890.us-east-1.elb.amazonaws.com"
NETWORK = {
    "vpc": Part("ready", "available", ("vpc-0123456789abcdef0", "10.0.0.0/16")),
    "subnets": Part("ready", "available", ("3 private", "3 public")),
    "nat": Part("ready", "available", ("nat-0123456789abcdef0",)),
    "cloud-nat": Part("ready", "running", ("router istio-multicloud",)),
}
STARTING = {
    "eks": Part("creating", "CREATING", ("Kubernetes 1.35", "not connected yet")),
    "gke": Part("creating", "PROVISIONING", ("Kubernetes 1.35.4-gke.1000", "not connected yet")),
}
STARTED = {
    "eks": Part("ready", "ACTIVE", ("Kubernetes 1.35", "not connected yet")),
    "gke": Part("ready", "RUNNING", ("Kubernetes 1.35.4-gke.1000", "not connected yet")),
}
LAMBDA = {
    "function": Part("ready", "Active", ("python3.13",)),
    "alb": Part("ready", "active", ("10.0.1.28", "10.0.2.232", "10.0.3.149")),
    "listeners": Part("ready", "open", ("HTTP 80", "HTTPS 443")),
    "target": Part("ready", "healthy", ("the function",)),
}
ISTIOD = Part("ready", "ready", ("revision 1-30",))
EKS = {
    "eks": Part("ready", "ACTIVE", ("Kubernetes 1.35", "1 node")),
    "eks/istiod": ISTIOD,
    "eks/gateway": Part("ready", "ready", (HOST,)),
}
GKE = {
    "gke": Part("ready", "RUNNING", ("Kubernetes 1.35.4-gke.1000", "1 node")),
    "gke/istiod": ISTIOD,
    "gke/gateway": Part("ready", "ready"),
    "gke/sleep": Part("ready", "ready", ("with its sidecar",)),
}
MADE_BY = {
    "00": {**NETWORK, **STARTING},
    "01": {**LAMBDA, **STARTED},
    "02": EKS,
    "03": GKE,
    "04": {key: Part("ready", "exists") for key in object_keys("eks")},
    "05": {key: Part("ready", "exists") for key in object_keys("gke")},
}


def after(notebook: str) -> Parts:
    """What exists when the notebook with that number has run."""
    made = Parts()
    for number, parts in MADE_BY.items():
        if number <= notebook:
            made.update(parts)
    return made


# What exists when these notebooks start: file, the notebook before, notebook, title.
_FILES = (
    ("01-lambda", "00", "01", "What exists before notebook 1, and what it creates"),
    ("02-istio-in-eks", "01", "02", "What exists before notebook 2, and what it creates"),
    ("03-istio-in-gke", "02", "03", "What exists before notebook 3, and what it creates"),
)
_DRAWINGS = drawings.all_drawings() | drawings_beyond.all_drawings()
DRAWN: dict[Path, svg.Picture] = {
    IMAGES / f"{name}.svg": things_picture.draw(after(before), here, title)
    for name, before, here, title in _FILES
} | {IMAGES / f"{name}.svg": picture for name, picture in _DRAWINGS.items()}


if __name__ == "__main__":
    for path, picture in DRAWN.items():
        path.write_text(str(picture), encoding="utf-8")
        print(f"notebooks/images/{path.name}")
