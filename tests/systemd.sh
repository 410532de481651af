#!/bin/sh
# SPDX-License-Identifier: ISC
# Run the pytest files of tests/systemd; see run-pytest.
exec "${AIS_SRCDIR:-.}/tests/run-pytest" systemd
