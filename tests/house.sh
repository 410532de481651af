#!/bin/sh
# SPDX-License-Identifier: ISC
# Run the pytest files of tests/house; see run-pytest.
exec "${AIS_SRCDIR:-.}/tests/run-pytest" house
