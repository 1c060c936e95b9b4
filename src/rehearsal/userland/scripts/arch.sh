#!/bin/sh
# Rehearsal of xplay: the site's architecture.
echo '@ARCH@'
