#!/bin/sh
# Stands for tools that this machine lacks or must not run: by the name that it is called with, with what it knows below
# $DOUBLES. Only what the modules ask for is here; anything else is refused, so that a wrong call cannot pass.
S=$DOUBLES
tool=${0##*/}
refuse() { echo "$tool: the double does not know: $*" >&2; exit 97; }
# Lines of a file without one line; with one line more.
without() { { grep -vxF -e "$2" "$1" 2>/dev/null || :; } >"$1.new"; mv "$1.new" "$1"; }
with() { grep -qxF -e "$2" "$1" 2>/dev/null || printf '%s\n' "$2" >>"$1"; }

case $tool in
getsebool)
    [ "$1" = -- ] && shift
    [ -e "$S/bool.$1" ] || exit 1
    printf '%s --> %s\n' "$1" "$(cat "$S/bool.$1")" ;;
setsebool)
    keep=; [ "$1" = -P ] && { keep=1; shift; }
    [ "$1" = -- ] && shift
    case $2 in 1) word=on ;; 0) word=off ;; *) refuse "$@" ;; esac
    echo $word >"$S/bool.$1"
    [ -z "$keep" ] || echo $word >"$S/kept.$1" ;;
setenforce) echo "$1" >/sys/fs/selinux/enforce ;;
semanage)
    case "$*" in
    'boolean -l -n')
        for f in "$S"/bool.*; do
            [ -e "$f" ] || continue
            n=${f##*/bool.}; now=$(cat "$f"); kept=$(cat "$S/kept.$n" 2>/dev/null || echo "$now")
            printf '%-30s (%-3s , %3s)  A switch\n' "$n" "$now" "$kept"
        done ;;
    'fcontext -l -n')
        cat "$S/labels" 2>/dev/null
        sed 's/^/ /; s/^ //' "$S/equal" 2>/dev/null; : ;;
    'port -l -n -C') cat "$S/ports" 2>/dev/null; : ;;
    'port -l -n')
        { printf '%s\n' 'web_port_t tcp 80, 443' 'db_port_t tcp 5000-5010'; cat "$S/ports" 2>/dev/null; } |
            awk '{ for (i = 3; i <= NF; i++) { sub(/,$/, "", $i); kind[$2 " " $i] = $1 } } END { for (k in kind) { split(k, part, " "); print kind[k], part[1], part[2] } }' ;;
    port\ *)
        verb=$2; shift 2; [ "$1" = -N ] && shift
        type=; [ "$1" = -t ] && { type=$2; shift 2; }
        [ "$1" = -p ] && [ $# = 3 ] || refuse "$@"
        [ "$verb" != -d ] || grep -q " $2 $3\$" "$S/ports" 2>/dev/null || { echo "Port $2/$3 is defined in policy, cannot be deleted" >&2; exit 1; }
        { awk -v p="$2" -v n="$3" '!($2 == p && $3 == n)' "$S/ports" 2>/dev/null; :; } >"$S/ports.new"
        mv "$S/ports.new" "$S/ports"
        [ "$verb" = -d ] || printf '%s %s %s\n' "$type" "$2" "$3" >>"$S/ports" ;;
    fcontext\ *)
        verb=$2; shift 2; user=; level=s0; type=; kind=; equal=
        while [ $# -gt 1 ]; do
            case $1 in
            -N) shift ;;
            -s) user=$2; shift 2 ;; -r) level=$2; shift 2 ;; -t) type=$2; shift 2 ;; -f) kind=$2; shift 2 ;; -e) equal=$2; shift 2 ;;
            *) refuse "$@" ;;
            esac
        done
        case $kind in a) kind='all files' ;; f) kind='regular file' ;; d) kind=directory ;; '') ;; *) refuse "kind $kind" ;; esac
        if [ -n "$equal" ]; then
            { grep -v "^$1 = " "$S/equal" 2>/dev/null || :; } >"$S/equal.new"; mv "$S/equal.new" "$S/equal"
            [ "$verb" = -d ] || printf '%s = %s\n' "$1" "$equal" >>"$S/equal"
            exit 0
        fi
        { awk -v t="$1" -v k="$kind" '!($1 == t && index($0, "  " k "  "))' "$S/labels" 2>/dev/null; :; } >"$S/labels.new"
        mv "$S/labels.new" "$S/labels"
        [ "$verb" = -d ] || printf '%s  %s  %s:object_r:%s:%s\n' "$1" "$kind" "$user" "$type" "$level" >>"$S/labels" ;;
    *) refuse "$@" ;;
    esac ;;
systemctl)
    while :; do case $1 in --no-block|--force) shift ;; *) break ;; esac; done
    verb=$1; shift
    [ "$1" = -l ] && shift
    [ "$1" = -- ] && shift
    unit=$S/unit.$1
    case $verb in daemon-reload) exit 0 ;; esac
    if [ ! -d "$unit" ]; then
        case $verb in
        show) printf 'Id=%s.service\nLoadState=not-found\nActiveState=inactive\n' "$1"; exit 0 ;;
        *) echo "Unit $1.service could not be found." >&2; exit 5 ;;
        esac
    fi
    set_enabled() { echo "$1" >"$unit/enabled"; }
    masked=; [ "$(cat "$unit/enabled")" = masked ] && masked=1
    case $verb in
    show)
        printf 'Id=%s.service\nLoadState=%s\nActiveState=%s\nExecStart={ path=/bin/true ; argv[]=/bin/true }\n' "$1" \
            "$([ -n "$masked" ] && echo masked || echo loaded)" "$(cat "$unit/active")" ;;
    is-enabled) cat "$unit/enabled"; [ "$(cat "$unit/enabled")" = enabled ] ;;
    is-active) cat "$unit/active"; [ "$(cat "$unit/active")" = active ] ;;
    list-unit-files) : ;;
    start|restart|reload)
        [ -z "$masked" ] || { echo "Unit $1.service is masked." >&2; exit 1; }
        echo active >"$unit/active"; echo "$verb" >>"$unit/done" ;;
    stop) echo inactive >"$unit/active" ;;
    enable|disable)
        [ -z "$masked" ] || { echo "Unit $1.service is masked." >&2; exit 1; }
        set_enabled "${verb}d" ;;
    mask) set_enabled masked ;;
    unmask) [ -z "$masked" ] || set_enabled disabled ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
update-rc.d)
    [ -e "/etc/init.d/$1" ] || { echo "update-rc.d: no $1" >&2; exit 1; }
    for level in 2 3 4 5; do
        case $2 in
        defaults) [ -e "/etc/rc$level.d/K01$1" ] || ln -sf "../init.d/$1" "/etc/rc$level.d/S01$1" ;;
        enable) rm -f "/etc/rc$level.d/K01$1"; ln -sf "../init.d/$1" "/etc/rc$level.d/S01$1" ;;
        disable) rm -f "/etc/rc$level.d/S01$1"; ln -sf "../init.d/$1" "/etc/rc$level.d/K01$1" ;;
        *) refuse "$@" ;;
        esac
    done ;;
service) name=$1; shift; exec "/etc/init.d/$name" "$@" ;;
firewall-cmd|firewall-offline-cmd)
    side=running zone= query= value=
    for arg; do
        case $arg in
        --permanent) side=permanent ;;
        --zone=*) zone=${arg#--zone=} ;;
        --timeout=*) : ;;
        *) query=$arg ;;
        esac
    done
    [ $tool = firewall-cmd ] || side=permanent
    file=$S/zone.$zone.$side
    case $query in
    --state) [ ! -e "$S/firewall.off" ] ;;
    --get-zones) for f in "$S"/zone.*.$side; do [ ! -e "$f" ] || { f=${f##*/zone.}; printf '%s ' "${f%.*}"; }; done; echo ;;
    --get-default-zone) echo public ;;
    --new-zone=*) : >"$S/zone.${query#*=}.$side" ;;
    --delete-zone=*) rm -f "$S/zone.${query#*=}.$side" ;;
    --get-target) sed -n 's/^target=//p' "$file" | grep . || echo default ;;
    --set-target=*)
        { grep -v ^target= "$file" || :; } >"$file.new"; mv "$file.new" "$file"
        echo "target=${query#*=}" >>"$file" ;;
    --query-*) [ -e "$file" ] && grep -qxF -e "${query#--query-}" "$file" ;;
    --add-*) [ -e "$file" ] || { echo "Error: INVALID_ZONE: $zone" >&2; exit 112; }; with "$file" "${query#--add-}" ;;
    --change-*) with "$file" "${query#--change-}" ;;
    --remove-*) without "$file" "${query#--remove-}" ;;
    *) refuse "$@" ;;
    esac ;;
iptables|ip6tables)
    [ "$1" = --version ] && { echo "$tool v1.8.9 (double)"; exit 0; }
    [ "$1" = -t ] || refuse "$@"
    base=$S/$tool.$2; verb=$3; shift 3
    case $verb in -F) chain=$1; for f in "$base".${chain:-*}; do [ ! -e "$f" ] || sed -i '2,$d' "$f"; done; exit 0 ;; esac
    chain=$base.$1; shift
    number=; case $1 in [0-9]*) number=$1; shift ;; esac
    # The option that waits for the lock is no part of a rule.
    [ "$1" = -w ] && shift 2
    rule="$*"
    [ "$verb" = -N ] || [ -e "$chain" ] || { echo "$tool: No chain/target/match by that name." >&2; exit 1; }
    case $verb in
    -L) printf 'Chain X (policy %s)\n' "$(head -n 1 "$chain")" ;;
    -C) sed 1d "$chain" | grep -qxF -e "$rule" ;;
    -A) printf '%s\n' "$rule" >>"$chain" ;;
    -I) { head -n "${number:-1}" "$chain"; printf '%s\n' "$rule"; sed "1,${number:-1}d" "$chain"; } >"$chain.new"; mv "$chain.new" "$chain" ;;
    -D) without "$chain" "$rule" ;;
    -P) { echo "$1"; sed 1d "$chain"; } >"$chain.new"; mv "$chain.new" "$chain" ;;
    -N) echo - >"$chain" ;;
    -X) rm "$chain" ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
locale) [ "$1" = -a ] || refuse "$@"; printf 'C\nPOSIX\n'; cat "$S/locales" 2>/dev/null; : ;;
locale-gen) sed -n 's/^\([a-z][^ ]*\) .*/\1/p' /etc/locale.gen | sed 's/UTF-8/utf8/; s/ISO-/iso/' >"$S/locales" ;;
timedatectl)
    case $1 in
    '') printf '               Time zone: %s (CET, +0100)\n         RTC in local TZ: %s\n' "$(cat "$S/zone")" "$(cat "$S/rtc")" ;;
    set-timezone) echo "$2" >"$S/zone" ;;
    set-local-rtc) echo "$2" >"$S/rtc" ;;
    *) refuse "$@" ;;
    esac ;;
*) refuse "$@" ;;
esac
