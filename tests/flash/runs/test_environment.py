# SPDX-License-Identifier: Apache-2.0
"""The versions and the machine that a report names."""

import json

from flash.runs.environment import environment


def test_environment_names_what_matters() -> None:
    found = environment()
    assert {"Python", "torch", "av", "device", "processors", "system"} <= set(found)
    json.dumps(found)
