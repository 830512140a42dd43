/* SPDX-License-Identifier: Apache-2.0 */

/* In place of glibc's, for the static binary. Objects of libnl that are linked in can turn names of
 * hosts and protocols into numbers; berm calls nothing of that. glibc's own would load whatever
 * shared libraries the host has configured for names (NSS) into a privileged process, and the
 * linker warns of just that. Whoever does call these is told that there is no such name. */
#include <netdb.h>
#include <stddef.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_list)
{
	(void)node;
	(void)service;
	(void)hints;
	*ret_list = NULL;
	return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_bytes,
	char *service, socklen_t service_bytes, int flags)
{
	(void)address;
	(void)length;
	(void)host;
	(void)host_bytes;
	(void)service;
	(void)service_bytes;
	(void)flags;
	return EAI_NONAME;
}

struct protoent *getprotobyname(const char *name)
{
	(void)name;
	return NULL;
}

struct protoent *getprotobynumber(int number)
{
	(void)number;
	return NULL;
}
