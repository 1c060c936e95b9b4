#!/bin/sh
# Stands for the tools of LVM and for ufw, with what they know below $DOUBLES; as doubles.sh it refuses what no module asks
# for. lvm/disk.NAME holds group, size and used bytes of the device $DOUBLES/NAME (- for no group), lvm/lv.GROUP.NAME the
# size of a volume and whether it is active.
S=$DOUBLES
tool=${0##*/}
refuse() { echo "$tool: the double does not know: $*" >&2; exit 97; }
extent=4194304
up() { echo $((($1 + extent - 1) / extent * extent)); }
down() { echo $(($1 / extent * extent)); }

disks() { for f in "$S"/lvm/disk.*; do [ ! -e "$f" ] || echo "${f##*.} $(cat "$f")"; done; }
volumes() { for f in "$S/lvm/lv.$1".*; do [ ! -e "$f" ] || echo "${f##*.} $(tr '\n' ' ' <"$f")"; done; }
sum() { awk -v at="$1" '{ n += $at } END { printf "%d\n", n }'; }
group_size() { disks | awk -v g="$1" '$2 == g' | sum 4; }
group_free() { echo $(($(group_size "$1") - $(volumes "$1" | sum 2))); }
need_group() { disks | awk -v g="$1" '$2 == g { found = 1 } END { exit !found }' || { echo "  Volume group \"$1\" not found" >&2; exit 5; }; }
# The file of a device.
disk() { case $1 in "$S"/*) echo "$S/lvm/disk.${1##*/}" ;; *) refuse "$1" ;; esac; }
join_group() { set -- "$1" "$(disk "$2")"; [ -e "$2" ] || refuse "no device of LVM: $2"; read -r _ size used <"$2"; echo "$1 $size $used" >"$2"; }
attribute() { case $1 in yes) echo "-wi-a-----" ;; *) echo "-wi-------" ;; esac; }
# bytes SIZE GROUP: a size as the tools take it, without the operator.
bytes() {
    case $1 in
    *%VG) down $((${1%"%VG"} * $(group_size "$2") / 100)) ;;
    *%FREE) down $((${1%"%FREE"} * $(group_free "$2") / 100)) ;;
    *m) up $((${1%m} * 1048576)) ;;
    *g) up $((${1%g} * 1073741824)) ;;
    *) refuse "$1" ;;
    esac
}

case $tool in
vgs)
    case "$*" in
    "--noheadings --separator ; -o vg_name,pv_count,lv_count")
        for g in $(disks | awk '$2 != "-" { print $2 }' | sort -u); do
            echo "  $g;$(disks | awk -v g="$g" '$2 == g' | wc -l);$(volumes "$g" | wc -l)"
        done ;;
    "--noheadings --nosuffix --units b --separator ; -o vg_name,size,free,vg_extent_size "*)
        for g; do :; done
        need_group "$g"
        echo "  $g;$(group_size "$g");$(group_free "$g");$extent" ;;
    "--noheadings --separator ; -o lv_attr "*)
        for g; do :; done
        need_group "$g"
        volumes "$g" | while read -r _ _ active; do echo "  $(attribute "$active")"; done ;;
    *) refuse "$@" ;;
    esac ;;
pvs)
    [ "$*" = "--noheadings --separator ; --nosuffix --units b -o pv_name,vg_name,dev_size,pv_size,pe_start,vg_extent_size" ] || refuse "$@"
    disks | while read -r name group size used; do echo "  $S/$name;${group#-};$size;$used;1048576;$extent"; done ;;
lvs)
    case "$*" in "-a --noheadings --nosuffix --units b --separator ; -o lv_name,size,lv_attr "*) ;; *) refuse "$@" ;; esac
    for g; do :; done
    need_group "$g"
    volumes "$g" | while read -r name size active; do echo "  $name;$size;$(attribute "$active")"; done ;;
pvcreate)
    [ "$1" = -f ] && [ $# = 2 ] || refuse "$@"
    f=$(disk "$2")
    [ ! -e "$f" ] || { read -r g _ <"$f"; [ "$g" = - ] || { echo "  $2 is in a group" >&2; exit 5; }; }
    echo "- 1073741824 1069547520" >"$f" ;;
pvresize)
    f=$(disk "$1")
    read -r g size _ <"$f"
    echo "$g $size $(down $((size - 1048576)))" >"$f" ;;
vgcreate | vgextend)
    [ "$1" = --help ] && exit 0
    if [ "$1" = -s ]; then shift 2; fi
    group=$1; shift
    if [ $tool = vgextend ]; then need_group "$group"; fi
    for d; do join_group "$group" "$d"; done ;;
vgreduce)
    [ "$1" = --force ] || refuse "$@"
    need_group "$2"; shift 2
    for d; do join_group - "$d"; done ;;
vgremove)
    [ "$1" = --force ] || refuse "$@"
    need_group "$2"
    rm -f "$S/lvm/lv.$2".*
    disks | while read -r name g _ _; do [ "$g" != "$2" ] || join_group - "$S/$name"; done ;;
vgchange)
    [ "$1" = --help ] && exit 0
    [ "$1" = --activate ] || refuse "$@"
    case $2 in y) active=yes ;; n) active=no ;; *) refuse "$@" ;; esac
    volumes "$3" | while read -r name size _; do printf '%s\n' "$size" $active >"$S/lvm/lv.$3.$name"; done ;;
lvcreate)
    [ "$1" = --help ] && { echo "[ -y|--yes ]"; exit 0; }
    [ "$1" = --yes ] && [ "$2" = -n ] && [ $# = 6 ] || refuse "$@"
    case $4 in -L | -l) ;; *) refuse "$@" ;; esac
    size=$(bytes "$5" "$6") || exit 97
    [ "$size" -gt 0 ] && [ "$size" -le "$(group_free "$6")" ] || { echo "  Insufficient free space" >&2; exit 5; }
    printf '%s\n' "$size" yes >"$S/lvm/lv.$6.$3" ;;
lvextend | lvreduce)
    while case $1 in --*) : ;; *) false ;; esac; do shift; done
    case $1 in -L | -l) ;; *) refuse "$@" ;; esac
    group=${3%/*}
    f=$S/lvm/lv.$group.${3#*/}
    { read -r now; read -r active; } <"$f"
    size=$(bytes "${2#[+-]}" "$group") || exit 97
    case $2 in +*) size=$((now + size)) ;; -*) size=$((now - size)) ;; esac
    [ "$size" != "$now" ] || { echo "  New size matches existing size" >&2; exit 5; }
    [ $((size - now)) -le "$(group_free "$group")" ] && [ "$size" -gt 0 ] || { echo "  Insufficient free space" >&2; exit 5; }
    printf '%s\n' "$size" "$active" >"$f" ;;
lvremove)
    [ "$1" = --force ] || refuse "$@"
    rm "$S/lvm/lv.${2%/*}.${2#*/}" ;;
lvchange)
    case $1 in -ay) active=yes ;; -an) active=no ;; *) refuse "$@" ;; esac
    f=$S/lvm/lv.${2%/*}.${2#*/}
    read -r size <"$f"
    printf '%s\n' "$size" $active >"$f" ;;
ufw)
    rules=/etc/ufw/user.rules
    dry=; [ "$1" = --dry-run ] && { dry=1; shift; }
    policy() { sed -n "s/^DEFAULT_$1_POLICY=\"\\(.*\\)\"/\\1/p" /etc/default/ufw | sed 's/ACCEPT/allow/; s/DROP/deny/; s/REJECT/reject/'; }
    case "$*" in
    --version) echo 'ufw 0.36'; echo 'Copyright 2008-2015 Canonical Ltd.' ;;
    'status verbose')
        echo "Status: $(cat "$S/ufw.state")"
        if [ "$(cat "$S/ufw.state")" = active ]; then
            level=$(cat "$S/ufw.logging")
            case $level in off) echo 'Logging: off' ;; *) echo "Logging: on ($level)" ;; esac
            echo "Default: $(policy INPUT) (incoming), $(policy OUTPUT) (outgoing), disabled (routed)"
        fi ;;
    '-f enable') echo active >"$S/ufw.state" ;;
    '-f disable') echo inactive >"$S/ufw.state" ;;
    'default '*)
        case $3 in incoming) which=INPUT ;; outgoing) which=OUTPUT ;; routed) which=FORWARD ;; *) refuse "$@" ;; esac
        case $2 in allow) word=ACCEPT ;; deny) word=DROP ;; reject) word=REJECT ;; *) refuse "$@" ;; esac
        sed -i "s/^DEFAULT_${which}_POLICY=.*/DEFAULT_${which}_POLICY=\"$word\"/" /etc/default/ufw ;;
    'logging '*) echo "$2" >"$S/ufw.logging"; { grep -v ^LOGLEVEL= /etc/ufw/ufw.conf 2>/dev/null; echo "LOGLEVEL=$2"; } >/etc/ufw/ufw.new; mv /etc/ufw/ufw.new /etc/ufw/ufw.conf ;;
    *)
        delete=; [ "$1" = delete ] && { delete=1; shift; }
        [ "$2 $3 $4 $5 $6" = 'from any to any port' ] || refuse "$@"
        case ${8-} in '' | comment) ;; *) refuse "$@" ;; esac
        line="### tuple ### $1 any $7 any"
        there=; grep -qxF -e "$line" $rules && there=1
        case $delete$there in
        1) echo 'Could not delete non-existent rule'; exit 0 ;;
        11) left=$(grep -vxF -e "$line" $rules) ;;
        *1) echo 'Skipping adding existing rule'; exit 0 ;;
        *) left=$(cat $rules; echo "$line") ;;
        esac
        if [ -n "$dry" ]; then printf '*filter\n%s\n' "$left"; else printf '%s\n' "$left" >$rules; echo 'Rules updated'; fi ;;
    esac ;;
*) refuse "$@" ;;
esac
