#!/bin/sh
# A small chkconfig for rehearsals: the links of /etc/rc.d/rc?.d.
list_one() {
    line=$1
    for level in 0 1 2 3 4 5 6; do
        state=off
        for l in /etc/rc.d/rc$level.d/S??"$1"; do
            [ -L "$l" ] || [ -e "$l" ] && state=on
        done
        line="$line	$level:$state"
    done
    echo "$line"
}
known() {
    [ -e "/etc/rc.d/init.d/$1" ] && return 0
    echo "error reading information on service $1: No such file or directory" >&2
    return 1
}
set_levels() {
    name=$1 state=$2 levels=$3
    for level in $(echo "$levels" | sed 's/./& /g'); do
        dir=/etc/rc.d/rc$level.d
        mkdir -p "$dir"
        rm -f "$dir"/S??"$name" "$dir"/K??"$name"
        if [ "$state" = on ]; then
            ln -s "../init.d/$name" "$dir/S65$name"
        else
            ln -s "../init.d/$name" "$dir/K35$name"
        fi
    done
}
levels=2345
if [ "$1" = --level ] || [ "$1" = --levels ]; then
    levels=$2
    shift 2
fi
case $1 in
--list)
    if [ -n "$2" ]; then
        known "$2" || exit 1
        list_one "$2"
        exit 0
    fi
    for f in /etc/rc.d/init.d/*; do
        [ -f "$f" ] && list_one "${f##*/}"
    done
    exit 0 ;;
--add) known "$2" || exit 1; set_levels "$2" on 2345; exit 0 ;;
--del) known "$2" || exit 1; rm -f /etc/rc.d/rc?.d/[SK]??"$2"; exit 0 ;;
-*|'') echo "usage: chkconfig [--list] [name]" >&2; exit 1 ;;
esac
known "$1" || exit 1
case $2 in
on) set_levels "$1" on "$levels" ;;
off)
    [ "$levels" = 2345 ] && levels=0123456
    set_levels "$1" off "$levels" ;;
'') ls /etc/rc.d/rc3.d/S??"$1" >/dev/null 2>&1; exit $? ;;
*) echo "usage: chkconfig [--list] [name]" >&2; exit 1 ;;
esac
exit 0
