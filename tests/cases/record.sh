#!/bin/sh
# Records what ansible-core prints for each case in tests/cases/playbooks; give its bin directory as argument, and
# the names of cases if not all are wanted.
# The recordings are data: replaying them needs no Python.
set -eu
bin=${1:?usage: record.sh DIRECTORY_OF_ANSIBLE_PLAYBOOK [CASE...]}
shift
cd "$(dirname "$0")/playbooks"
export ANSIBLE_NOCOLOR=1 ANSIBLE_JINJA2_NATIVE=1 ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0 ANSIBLE_DEPRECATION_WARNINGS=0
[ $# -gt 0 ] || set -- */
for case; do
    case=${case%/}
    [ -e "$case/ours" ] && continue
    (
        cd "$case"
        CASE_TMP=$(mktemp -d)
        export CASE_TMP
        set -- playbook.yml -e ansible_python_interpreter=/usr/bin/python3
        [ -e inventory ] && set -- -i inventory "$@"
        [ -e args ] && set -- "$@" $(cat args)
        rc=0
        in=/dev/null
        [ ! -e stdin ] || in=stdin
        "$bin/ansible-playbook" "$@" <$in >out 2>/dev/null || rc=$?
        { cat out; echo "exit $rc"; } | sed "s|$CASE_TMP|CASE_TMP|g; s|$PWD|CASE|g" >expected.txt
        rm -rf out "$CASE_TMP"
    )
done
