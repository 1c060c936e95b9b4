#!/bin/sh
# Rehearsal of xplay: every user of a rehearsal host is root, so becoming root is running the command.
user=root login=
while [ $# -gt 0 ]; do
    case $1 in
    -u | --user) user=$2; shift 2 ;;
    -u?*) user=${1#-u}; shift ;;
    --user=*) user=${1#--user=}; shift ;;
    -p | --prompt | -g | --group | -C | -r | -t) shift 2 ;;
    -i | --login | -s | --shell) login=1; shift ;;
    --) shift; break ;;
    -V | --version) echo 'Sudo version 1.9.5p2 (xplay rehearsal)'; exit 0 ;;
    -k | -K | -v) shift; [ $# -gt 0 ] || exit 0 ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
    esac
done
if [ "$user" != root ]; then
    echo "sudo: unknown user $user: rehearsal hosts only have root" >&2
    exit 1
fi
export SUDO_USER=root SUDO_UID=0 SUDO_GID=0
if [ $# -eq 0 ]; then
    [ -n "$login" ] || { echo 'usage: sudo [-u user] command' >&2; exit 1; }
    exec /bin/sh
fi
exec "$@"
