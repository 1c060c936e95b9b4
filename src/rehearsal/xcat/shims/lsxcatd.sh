#!/bin/sh
# A service node's lsxcatd for rehearsals.
if [ -e /run/xplay-rehearsal/active/xcatd.service ] || [ -e /var/lock/subsys/xcatd ]; then
    version=$(cat /opt/xcat/share/xcat/version 2>/dev/null)
    [ -e /etc/xcat/cfgloc ] && engine=mysql || engine=SQLite
    case $1 in
    -v|--version) echo "$version" ;;
    -d|--database) echo "dbengine=$engine" ;;
    -t|--nodetype) echo "This is a Service Node" ;;
    *) echo "$version"; echo "This is a Service Node"; echo "dbengine=$engine" ;;
    esac
    exit 0
fi
echo "Unable to open socket connection to xcatd daemon on localhost:3001."
echo "Verify that the xcatd daemon is running and that your SSL setup is correct."
echo "Connection failure: IO::Socket::INET: connect: Connection refused at /opt/xcat/lib/perl/xCAT/Client.pm line 248." >&2
exit 111
