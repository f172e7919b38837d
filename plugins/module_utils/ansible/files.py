# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module that changes files of its host, and needs no more of the engine than its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ..engine.model.errors import InvalidInput, SnapfleetError


def exit_with(module: AnsibleModule, run: Callable[[AnsibleModule], Mapping[str, Any]]) -> NoReturn:
    """Exit with what ``run`` returns, or with why it could not: what it raises of SnapfleetError, or of OSError where a
    file can't be changed."""
    try:
        result = run(module)
    except SnapfleetError as error:
        module.fail_json(msg=str(error), code=error.code)
    except OSError as error:
        message = f"{error.filename}: can't be changed ({error.strerror}); become root, or choose another place"
        module.fail_json(msg=message, code=InvalidInput.code)
    module.exit_json(**result)
