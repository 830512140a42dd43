#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The network rows of the meter on this kernel, in mount and network namespaces of their own: network.sh PROGRAM
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP the cgroup programs need root"
	exit 0
fi
# shellcheck disable=SC2016
unshare --mount --net sh -c 'ip link set lo up && exec "$1" network' sh "$1"
status=$?
for top in /sys/fs/cgroup/unified/meter /sys/fs/cgroup/meter; do
	[ -d "$top" ] && find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
done
exit $status
