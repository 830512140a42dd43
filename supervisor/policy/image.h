/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/arena.h"
#include "policy/diagnostics.h"
#include "policy/profile.h"

/* A loaded profile as bytes, for another process: between one that read what people wrote and has
 * no rights, and one that has rights. One form: what is read packs to the same bytes again. */

#define PROFILE_IMAGE_MAX (4U << 20)

/* Append the image. `out` says where memory ran out. */
void profile_image_write(const struct profile *profile, struct text *out);

/* The profile of an image that may be anybody's bytes: no count beyond what is there, each word of
 * a closed set one of them, nothing missing that a profile has, nothing behind it. What its strings
 * say is not judged. sources: the files that it has to be made of, newest first, whose text it
 * takes from `arena`, which the profile owns from then on, whatever becomes of it; both NULL:
 * whichever it names, without their text. Release with profile_destroy(). -EPROTO, -ENOMEM (kind
 * INTERNAL). */
int profile_image_read(const void *bytes, size_t length, const struct source_file *sources,
	struct arena *arena, struct profile **ret_profile, struct error *err) must_check;
