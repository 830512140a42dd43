/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* "443" or "3000-3999", from 1 to 65535, the lower one first. */
bool port_range_parse(const char *text, uint16_t ret_range[2]);
/* "127.0.0.1:80", "[::1]:3000-3999": a numeric address, IPv6 in brackets. */
bool listen_parse(const char *text, char ret_address[INET6_ADDRSTRLEN], uint16_t ret_range[2]);
