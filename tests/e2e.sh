#!/bin/sh
# SPDX-License-Identifier: ISC
# Run the pytest files of tests/e2e; see run-pytest.
exec "${AIS_SRCDIR:-.}/tests/run-pytest" e2e
