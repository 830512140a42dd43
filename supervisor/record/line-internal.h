/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files that put records into lines share. */

#include "record/line.h"

#define LINE_WORD_BYTES 40
#define LINE_MORE_BYTES 100

/* Escaped and cut; nothing where there is nothing. */
void line_put_bytes(struct text *out, const ProtobufCBinaryData *bytes, size_t max_bytes);
void line_put(struct text *out, const char *string, size_t max_bytes);
/* The name of an errno, or its number. */
void line_put_error(struct text *out, uint32_t error);
void line_put_milliseconds(struct text *out, uint64_t ms);

/* What the log says about itself. */
void line_fill_opened(struct line *l, const Berm__Wire__Record *record);
void line_fill_loss(struct line *l, const Berm__Wire__Record *record);
void line_fill_clock(struct line *l, const Berm__Wire__Record *record);
void line_fill_retention(struct line *l, const Berm__Wire__Record *record);
void line_fill_trouble(struct line *l, const Berm__Wire__Record *record);
void line_fill_head(struct line *l, const Berm__Wire__Record *record);
void line_fill_seal(struct line *l, const Berm__Wire__Record *record);
