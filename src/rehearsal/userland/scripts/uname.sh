#!/bin/sh
# Rehearsal of xplay: answers for the site's machine instead of this one.
kernel='@KERNEL@' version='@VERSION@' machine='@ARCH@'
s= n= r= v= m= p= i= o=
[ $# -gt 0 ] || s=1
for word in "$@"; do
    case $word in
    --all) word=-snrvmpio ;; --kernel-name) word=-s ;; --nodename) word=-n ;; --kernel-release) word=-r ;;
    --kernel-version) word=-v ;; --machine) word=-m ;; --processor) word=-p ;;
    --hardware-platform) word=-i ;; --operating-system) word=-o ;;
    --help | --version) echo 'uname (xplay rehearsal)'; exit 0 ;;
    -?*) ;;
    *) echo "uname: extra operand '$word'" >&2; exit 1 ;;
    esac
    rest=${word#-}
    while [ -n "$rest" ]; do
        case $rest in
        a*) s=1 n=1 r=1 v=1 m=1 p=1 i=1 o=1 ;;
        s*) s=1 ;; n*) n=1 ;; r*) r=1 ;; v*) v=1 ;; m*) m=1 ;; p*) p=1 ;; i*) i=1 ;; o*) o=1 ;;
        *) echo "uname: invalid option -- '${rest%"${rest#?}"}'" >&2; exit 1 ;;
        esac
        rest=${rest#?}
    done
done
line=
[ -z "$s" ] || line="$line Linux"
if [ -n "$n" ]; then
    read -r node </etc/hostname || node=localhost
    line="$line $node"
fi
[ -z "$r" ] || line="$line $kernel"
[ -z "$v" ] || line="$line $version"
[ -z "$m" ] || line="$line $machine"
[ -z "$p" ] || line="$line $machine"
[ -z "$i" ] || line="$line $machine"
[ -z "$o" ] || line="$line GNU/Linux"
echo "${line# }"
