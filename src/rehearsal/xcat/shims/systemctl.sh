#!/bin/sh
# A small systemctl for rehearsals: unit files, wants links and a mark per running unit.
root=
now=
quiet=
verb=
units=
while [ $# -gt 0 ]; do
    case $1 in
    --root=*) root=${1#--root=} ;;
    --root) shift; root=$1 ;;
    --now) now=1 ;;
    -q|--quiet) quiet=1 ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$1; else units="$units $1"; fi ;;
    esac
    shift
done
root=${root%/}
running=$root/run/xplay-rehearsal/active

unit_name() {
    case $1 in *.service|*.socket|*.target|*.timer) echo "$1" ;; *) echo "$1.service" ;; esac
}
unit_path() {
    for d in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        [ -f "$root$d/$1" ] && { echo "$d/$1"; return 0; }
    done
    return 1
}
wanted_by() {
    sed -n 's/^WantedBy=//p' "$root$1" | tr ' ' '\n'
}
is_wanted() {
    for l in "$root"/etc/systemd/system/*.wants/"$1"; do
        [ -L "$l" ] || [ -e "$l" ] && return 0
    done
    return 1
}
say() { [ -n "$quiet" ] || echo "$1"; }

rc=0
case $verb in
enable|disable|is-enabled|is-active|start|stop|restart|reload|try-restart|status|mask|unmask|is-failed|cat) ;;
daemon-reload|daemon-reexec|reset-failed) exit 0 ;;
is-system-running) say running; exit 0 ;;
list-unit-files)
    for d in /etc/systemd/system /usr/lib/systemd/system; do
        for f in "$root$d"/*.service; do
            [ -f "$f" ] || continue
            u=${f##*/}
            if is_wanted "$u"; then echo "$u enabled"; else echo "$u disabled"; fi
        done
    done
    exit 0 ;;
--version|version|'') echo "systemd 252 (rehearsal)"; exit 0 ;;
*) echo "Unknown command verb $verb." >&2; exit 1 ;;
esac

any=
for word in $units; do
    u=$(unit_name "$word")
    p=$(unit_path "$u") || p=
    case $verb in
    enable)
        [ -n "$p" ] || { echo "Failed to enable unit, unit $u does not exist." >&2; rc=1; continue; }
        for t in $(wanted_by "$p"); do
            l=/etc/systemd/system/$t.wants/$u
            [ -L "$root$l" ] && continue
            mkdir -p "$root/etc/systemd/system/$t.wants"
            ln -s "$p" "$root$l"
            echo "Created symlink $l → $p." >&2
        done ;;
    disable)
        if [ -z "$p" ]; then
            echo "Failed to disable unit, unit $u does not exist." >&2
            [ -z "$root" ] || rc=1
            continue
        fi
        for l in "$root"/etc/systemd/system/*.wants/"$u"; do
            [ -L "$l" ] || continue
            rm -f "$l"
            echo "Removed \"${l#"$root"}\"." >&2
        done ;;
    mask) mkdir -p "$root/etc/systemd/system"; ln -sfn /dev/null "$root/etc/systemd/system/$u" ;;
    unmask) [ "$(readlink "$root/etc/systemd/system/$u")" = /dev/null ] && rm -f "$root/etc/systemd/system/$u" ;;
    is-enabled)
        if [ "$(readlink "$root/etc/systemd/system/$u" 2>/dev/null)" = /dev/null ]; then say masked
        elif [ -z "$p" ]; then echo "Failed to get unit file state for $u: No such file or directory" >&2
        elif is_wanted "$u"; then say enabled; any=1
        else say disabled
        fi ;;
    is-active) if [ -e "$running/$u" ]; then say active; any=1; else say inactive; fi ;;
    is-failed) say inactive ;;
    status)
        [ -n "$p" ] || { echo "Unit $u could not be found." >&2; rc=4; continue; }
        if [ -e "$running/$u" ]; then say "$u active (running)"; else say "$u inactive (dead)"; rc=3; fi ;;
    cat) [ -n "$p" ] && cat "$root$p" || rc=1 ;;
    start|restart|reload|try-restart)
        [ -n "$p" ] || { echo "Failed to $verb $u: Unit $u not found." >&2; rc=5; continue; }
        mkdir -p "$running"; : > "$running/$u" ;;
    stop) rm -f "$running/$u" ;;
    esac
    case $verb$now in
    enable1) mkdir -p "$running"; : > "$running/$u" ;;
    disable1) rm -f "$running/$u" ;;
    esac
done
case $verb in
is-enabled) [ -n "$any" ] || rc=1 ;;
is-active) [ -n "$any" ] || rc=3 ;;
is-failed) rc=1 ;;
esac
exit $rc
