#!/bin/sh
# Init script of a rehearsal's service.
# chkconfig: 2345 65 35
name=${0##*/}
mark=/var/lock/subsys/$name
case $1 in
start|restart|reload) mkdir -p /var/lock/subsys; : > "$mark"; echo "Starting $name:  [  OK  ]" ;;
stop) rm -f "$mark"; echo "Stopping $name:  [  OK  ]" ;;
status)
    if [ -e "$mark" ]; then echo "$name (pid 1) is running..."; exit 0; fi
    echo "$name is stopped"
    exit 3 ;;
*) echo "Usage: $0 {start|stop|status|restart|reload}" >&2; exit 2 ;;
esac
exit 0
