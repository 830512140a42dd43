/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/network-uplink.h"

#include "base/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int uplink_read_flag(const char *path, bool *ret_set, struct error *err)
{
	autofree char *text = NULL;
	int r = io_read_file(AT_FDCWD, path, 16, &text, NULL, err);

	*ret_set = r == 0 && text[0] != '0';
	return r;
}

/* Forwarding is the operator's to switch on: it makes a router of the machine, not of berm alone.
 */
static int check_forwarding(const char *uplink, bool has6, struct error *err)
{
	char path[128];
	bool on;
	int r;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", uplink);
	r = uplink_read_flag(path, &on, err);
	if (r == 0 && !on)
		return error_set(err, -ENONET, ERROR_UNSUPPORTED,
			"the uplink %s does not forward: set net.ipv4.ip_forward=1, or only "
			"net.ipv4.conf.%s.forwarding=1 (sysctl)",
			uplink, uplink);
	if (r < 0 || !has6)
		return r;
	r = uplink_read_flag("/proc/sys/net/ipv6/conf/all/forwarding", &on, err);
	if (r == 0 && !on)
		return error_set(err, -ENONET, ERROR_UNSUPPORTED,
			"this host does not forward IPv6: set net.ipv6.conf.all.forwarding=1 "
			"(sysctl), or configure no pool6");
	return r;
}

int uplink_look(const char *uplink, bool has6, uint32_t *ret_mtu, struct error *err)
{
	autoclose int fd = -1;
	struct ifreq request = {0};

	if (!uplink)
		return 0;
	if (strlen(uplink) >= IFNAMSIZ || if_nametoindex(uplink) == 0)
		return error_set(err, -ENODEV, ERROR_UNSUPPORTED,
			"the uplink %s is no network interface of this host", uplink);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", uplink);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request) < 0)
		return error_errno(err, "look at the uplink %s", uplink);
	*ret_mtu = (uint32_t)request.ifr_mtu;
	return check_forwarding(uplink, has6, err);
}

/* The longer of the two prefixes is the one that may lie within the other. */
static bool overlaps(const struct network_pool *pool, const struct ifaddrs *one)
{
	uint32_t mask = UINT32_MAX << (32 - pool->bits), address;

	if (one->ifa_netmask)
		mask &= ntohl(((const struct sockaddr_in *)(const void *)one->ifa_netmask)
				      ->sin_addr.s_addr);
	address = ntohl(((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr.s_addr);
	return ((address ^ pool->base) & mask) == 0;
}

/* A pool in which somebody else already has addresses would take their packets. */
int uplink_check_pool(const struct network_pool *pool, struct error *err)
{
	struct ifaddrs *all = NULL;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return error_errno(err, "list the host's addresses");
	for (const struct ifaddrs *one = all; one && r == 0; one = one->ifa_next)
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
			strncmp(one->ifa_name, "berm-", 5) != 0 && overlaps(pool, one))
			r = error_set(err, -EADDRINUSE, ERROR_UNSUPPORTED,
				"addresses of the pool are in use on %s", one->ifa_name);
	freeifaddrs(all);
	return r;
}
