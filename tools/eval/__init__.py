# SPDX-License-Identifier: Apache-2.0
"""The evaluation. A package only so that its tests are found; its programs are run as files."""
