"""The permissions of the tutorial in AWS: policies/aws.json, filled in from the settings.

`python -m helpers.aws.policy` prints it for IAM.
"""

import json
from string import Template
from typing import Any

from helpers import aws
from helpers.aws.denied import FILE
from helpers.base.errors import for_people
from helpers.base.settings import ROOT, current


def document(account: str) -> dict[str, Any]:
    """The policy with the settings' names in it, for that account."""
    text = (ROOT / FILE).read_text(encoding="utf-8")
    settings = current()
    values = {name: getattr(settings, name) for name in ("AWS_REGION", "TUTORIAL_DOMAIN", "TUTORIAL_NAME")}
    return json.loads(Template(text).substitute(values, AWS_ACCOUNT_ID=account))


@for_people
def main() -> None:
    """Print the policy for the account that the credentials belong to."""
    print(json.dumps(document(aws.account_id()), indent=2))


if __name__ == "__main__":
    main()
