#!/bin/sh
# A small rpm for rehearsals: queries the list of installed packages.
root=
query=
all=
format=
names=
while [ $# -gt 0 ]; do
    case $1 in
    --root=*) root=${1#--root=} ;;
    --root|-r) shift; root=$1 ;;
    --qf|--queryformat) shift; format=$1 ;;
    --qf=*|--queryformat=*) format=${1#*=} ;;
    --version) echo "RPM version 4.16.1.3"; exit 0 ;;
    --query) query=1 ;;
    --all) all=1 ;;
    --quiet) exec >/dev/null ;;
    -qa|-aq) query=1 all=1 ;;
    -q) query=1 ;;
    -a) all=1 ;;
    -*) ;;
    *) names="$names $1" ;;
    esac
    shift
done
[ -n "$query" ] || { echo "rpm: only queries are possible in a rehearsal" >&2; exit 1; }
list=${root%/}/var/lib/rpm/packages

show() {
    if [ -z "$format" ]; then
        echo "$1-$3-$4.$5"
        return
    fi
    line=$(printf '%s' "$format" | sed -e "s/%{NAME}/$1/g; s/%{name}/$1/g; s/%{EPOCH}/$2/g; s/%{VERSION}/$3/g" \
        -e "s/%{version}/$3/g; s/%{RELEASE}/$4/g; s/%{release}/$4/g; s/%{ARCH}/$5/g; s/%{arch}/$5/g")
    printf "$line"
}
each() {
    [ -r "$list" ] || return 0
    while read -r name epoch version release arch; do
        case $name in $1) show "$name" "$epoch" "$version" "$release" "$arch"; found=1 ;; esac
    done < "$list"
}

rc=0
found=
if [ -n "$all" ]; then
    if [ -z "$names" ]; then each '*'; fi
    for pattern in $names; do each "$pattern"; done
    exit 0
fi
for name in $names; do
    found=
    each "$name"
    if [ -z "$found" ]; then echo "package $name is not installed"; rc=1; fi
done
exit $rc
