/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "daemon/changes.h"

struct changes_showing {
	bool json, diff;
	bool all; /* every name of a directory that comes */
};

/* Append all that is to be known of a change set before it is committed. */
int changes_show(struct change_set *set, const struct changes_showing *how, struct text *out,
	struct error *err) must_check;
void changes_put_path(struct text *out, const ProtobufCBinaryData *path, size_t most);
void changes_json_path(struct json *j, const char *key, const ProtobufCBinaryData *path);
