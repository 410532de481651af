#!/bin/sh
# SPDX-License-Identifier: ISC
# Make configure and what it needs; for a checkout, not for a release.
cd "$(dirname "$0")" && exec autoreconf -fi
