#!/bin/sh
# Rehearsal of xplay: the name of this host, also where it has no name of its own in the kernel.
read -r node </etc/hostname || node=localhost
case ${1-} in
'' ) echo "$node" ;;
-s | --short) echo "${node%%.*}" ;;
-f | --fqdn | --long) echo "${node%%.*}.cluster.test" ;;
-d | --domain) echo cluster.test ;;
-i | -I | --ip-address | --all-ip-addresses) awk -v n="${node%%.*}" '{ for (i = 2; i <= NF; i++) if ($i == n) { print $1; exit } }' /etc/hosts ;;
-*) echo "hostname: unknown option $1" >&2; exit 1 ;;
*) echo "$1" >/etc/hostname ;;
esac
