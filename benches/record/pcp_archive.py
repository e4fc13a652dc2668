#!/usr/bin/python3
"""Writes a CSV of numbers as an archive of Performance Co-Pilot: pcp_archive.py VALUES.csv ARCHIVE

The first column is the time in milliseconds, each other one a metric of doubles.
"""

import csv
import sys

import cpmapi
from pcp import pmi

values, archive = sys.argv[1:]
log = pmi.pmiLogImport(archive)
units = log.pmiUnits(0, 0, 0, 0, 0, 0)
with open(values, newline="") as file:
    rows = csv.reader(file)
    names = ["halo.series%d" % number for number, _ in enumerate(next(rows)[1:])]
    for name in names:
        log.pmiAddMetric(name, cpmapi.PM_ID_NULL, cpmapi.PM_TYPE_DOUBLE, cpmapi.PM_INDOM_NULL, cpmapi.PM_SEM_INSTANT, units)
    for row in rows:
        milliseconds = int(row[0])
        for name, value in zip(names, row[1:]):
            if value:
                log.pmiPutValue(name, "", value)
        log.pmiWrite(milliseconds // 1000, milliseconds % 1000 * 1000)
log.pmiEnd()
