#!/bin/sh
# A small service command for rehearsals: runs the init script, or asks systemctl.
name=$1
shift
for dir in /etc/rc.d/init.d /etc/init.d; do
    [ -x "$dir/$name" ] && exec "$dir/$name" "$@"
done
if [ -e /usr/lib/systemd/system/"$name".service ]; then
    exec systemctl "${1:-status}" "$name"
fi
echo "$name: unrecognized service" >&2
exit 1
