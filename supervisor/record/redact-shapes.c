/* SPDX-License-Identifier: Apache-2.0 */
#include "record/redact-internal.h"

#include <string.h>

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define WORD UPPER LOWER DIGITS
#define WORD_DASH WORD "_-"

/* clang-format off */

/* Tokens that begin with letters of their own. The charset is of what follows. */
static const struct {
	const char *prefix, *charset;
	size_t least, most;
	const char *name;
} tokens[] = {
	{"AKIA",            UPPER DIGITS,   16, 16,   "aws-key-id"},
	{"ASIA",            UPPER DIGITS,   16, 16,   "aws-key-id"},
	{"ghp_",            WORD,           20, 255,  "github-token"},
	{"gho_",            WORD,           20, 255,  "github-token"},
	{"ghu_",            WORD,           20, 255,  "github-token"},
	{"ghs_",            WORD,           20, 255,  "github-token"},
	{"ghr_",            WORD,           20, 255,  "github-token"},
	{"github_pat_",     WORD "_",       20, 255,  "github-token"},
	{"glpat-",          WORD_DASH,      16, 255,  "gitlab-token"},
	{"sk-",             WORD_DASH,      20, 512,  "api-key"},
	{"sk_live_",        WORD,           16, 255,  "api-key"},
	{"sk_test_",        WORD,           16, 255,  "api-key"},
	{"rk_live_",        WORD,           16, 255,  "api-key"},
	{"xoxa-",           WORD "-",       10, 255,  "slack-token"},
	{"xoxb-",           WORD "-",       10, 255,  "slack-token"},
	{"xoxp-",           WORD "-",       10, 255,  "slack-token"},
	{"xoxr-",           WORD "-",       10, 255,  "slack-token"},
	{"xoxs-",           WORD "-",       10, 255,  "slack-token"},
	{"xapp-",           WORD "-",       10, 255,  "slack-token"},
	{"AIza",            WORD_DASH,      35, 35,   "google-key"},
	{"ya29.",           WORD_DASH ".",  20, 2048, "google-token"},
	{"GOCSPX-",         WORD_DASH,      20, 64,   "google-secret"},
	{"npm_",            WORD,           36, 36,   "npm-token"},
	{"pypi-AgE",        WORD_DASH,      16, 1024, "pypi-token"},
	{"hf_",             WORD,           30, 64,   "huggingface-token"},
	{"SG.",             WORD_DASH ".",  40, 128,  "sendgrid-key"},
	{"dop_v1_",         LOWER DIGITS,   64, 64,   "digitalocean-token"},
	{"dckr_pat_",       WORD_DASH,      20, 64,   "docker-token"},
	{"hvs.",            WORD_DASH,      20, 512,  "vault-token"},
	{"eyJ",             WORD_DASH ".=", 20, 8192, "jwt"},
	{"AGE-SECRET-KEY-1", UPPER DIGITS,  50, 64,   "age-key"},
};

/* Words that name a secret. What follows behind "=" or ":" is one. */
static const struct {
	const char *word;
	bool to_end;   /* of the line: the value holds blanks */
	bool no_path;  /* a path behind it is where the secret is, not the secret */
} labels[] = {
	{"password", false, false}, {"passwd", false, false},     {"passphrase", false, false}, {"_pass", false, true},
	{"-pass", false, true},     {"secret", false, true},      {"token", false, true},       {"apikey", false, true},
	{"_key", false, true},      {"-key", false, true},        {"credential", false, true},  {"credentials", false, true},
	{"_auth", false, true},     {"authorization", true, false}, {"cookie", true, false},    {"pgpassword", false, false},
	{"pwd", false, true},       {"private_token", false, false}, {"accesskey", false, true}, {"secretkey", false, true},
	{"_pw", false, true},       {"sig", false, true},         {"signature", false, true},
};

/* clang-format on */

static bool is_word(char c)
{
	return c && strchr(WORD, c);
}

static bool holds(const char *set, char c)
{
	return c && strchr(set, c);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A name that somebody chose has rarely a digit, and a random key of that length always. */
static bool has_digit(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] >= '0' && text[i] <= '9')
			return true;
	return false;
}

static void find_token(const char *text, size_t length, size_t at, struct redact_spans *spans)
{
	for (size_t i = 0; i < array_size(tokens); i++) {
		size_t n = strlen(tokens[i].prefix), end = at + n;

		if (tokens[i].prefix[0] != text[at] || length - at < n ||
			memcmp(text + at, tokens[i].prefix, n) != 0)
			continue;
		while (end < length && end - at - n < tokens[i].most &&
			holds(tokens[i].charset, text[end]))
			end++;
		if (end - at - n < tokens[i].least || !has_digit(text + at, end - at))
			continue;
		redact_add(spans, at, end, tokens[i].name);
		return;
	}
}

/* The end of a value that begins here. A quoted one ends at its quote. */
static size_t value_end(const char *text, size_t length, size_t at, bool to_end)
{
	const char *ends = to_end ? "\r\n\"'" : " \t\r\n\"'&;,)}<>|`";

	while (at < length && !holds(ends, text[at]))
		at++;
	return at;
}

static bool is_path(const char *text, size_t length, size_t at)
{
	return text[at] == '/' || text[at] == '~' ||
	       (text[at] == '.' && length - at > 1 && (text[at + 1] == '/' || text[at + 1] == '.'));
}

/* at is behind a label: its value, where there is one. */
static void find_value(const char *text, size_t length, size_t at, bool to_end, bool no_path,
	struct redact_spans *spans)
{
	bool colon;
	size_t end;
	char quote = '\0';

	if (at < length && (text[at] == '"' || text[at] == '\'')) /* "password": "x" */
		at++;
	if (at >= length || (text[at] != '=' && text[at] != ':'))
		return;
	colon = text[at++] == ':';
	while (colon && at < length && (text[at] == ' ' || text[at] == '\t'))
		at++;
	if (at < length && (text[at] == '"' || text[at] == '\''))
		quote = text[at++];
	if (at >= length || (no_path && is_path(text, length, at)))
		return;
	end = value_end(text, length, at, to_end);
	if (quote) {
		const char *close = memchr(text + at, quote, length - at);

		end = close ? (size_t)(close - text) : length;
	}
	if (end > at)
		redact_add(spans, at, end, "labelled");
}

static void find_label(const char *text, size_t length, size_t at, struct redact_spans *spans)
{
	for (size_t i = 0; i < array_size(labels); i++) {
		const char *word = labels[i].word;
		size_t n = 0;

		while (word[n] && at + n < length && lower(text[at + n]) == word[n])
			n++;
		if (!word[n])
			find_value(
				text, length, at + n, labels[i].to_end, labels[i].no_path, spans);
	}
}

/* "scheme://user:password@host": the password, and a user that is a token. */
static void find_userinfo(const char *text, size_t length, size_t at, struct redact_spans *spans)
{
	size_t begin = at + 3, end = begin, colon = 0, sign = 0;

	if (length - at < 3 || memcmp(text + at, "://", 3) != 0)
		return;
	for (; end < length && !holds("/?# \t\r\n\"'<>", text[end]); end++) {
		if (text[end] == '@')
			sign = end;
		else if (text[end] == ':' && !colon)
			colon = end;
	}
	if (!sign)
		return;
	if (colon && colon < sign)
		begin = colon + 1;
	else if (sign - begin < 16)
		return;
	if (sign > begin)
		redact_add(spans, begin, sign, "url");
}

/* "Bearer TOKEN" without a label before it. */
static void find_bearer(const char *text, size_t length, size_t at, struct redact_spans *spans)
{
	static const char word[] = "bearer ";
	size_t n = 0, end;

	while (word[n] && at + n < length && lower(text[at + n]) == word[n])
		n++;
	if (word[n])
		return;
	end = value_end(text, length, at + n, false);
	if (end - at - n >= 8)
		redact_add(spans, at + n, end, "bearer");
}

/* From the line that begins it to the one that ends it, or to the end. */
static void find_private_key(const char *text, size_t length, size_t at, struct redact_spans *spans)
{
	static const char begin[] = "-----BEGIN ", last[] = "PRIVATE KEY", end[] = "-----END ";
	const char *line, *key, *close, *stop;

	if (length - at < sizeof(begin) - 1 || memcmp(text + at, begin, sizeof(begin) - 1) != 0)
		return;
	line = text + at + sizeof(begin) - 1;
	/* "RSA ", "ENCRYPTED " … stands between. */
	key = memmem(line,
		(size_t)(text + length - line) < 48 ? (size_t)(text + length - line) : 48, last,
		sizeof(last) - 1);
	if (!key)
		return;
	close = memmem(key, (size_t)(text + length - key), end, sizeof(end) - 1);
	if (!close) {
		redact_add(spans, at, length, "private-key");
		return;
	}
	stop = memmem(close, (size_t)(text + length - close), "KEY-----", 8);
	redact_add(spans, at, stop ? (size_t)(stop + 8 - text) : length, "private-key");
}

/* One pass. Which letters a shape can begin with decides whether it is looked for. */
void redact_shapes(const char *text, size_t length, struct redact_spans *spans)
{
	for (size_t at = 0; at < length && !spans->overflow; at++) {
		char c = text[at];

		if (c == ':')
			find_userinfo(text, length, at, spans);
		if (c == '-')
			find_private_key(text, length, at, spans);
		if ((c == 'B' || c == 'b') && (at == 0 || !is_word(text[at - 1])))
			find_bearer(text, length, at, spans);
		if (is_word(c) && (at == 0 || !is_word(text[at - 1])))
			find_token(text, length, at, spans);
		if (holds("pstacPSTAC_-", c))
			find_label(text, length, at, spans);
	}
}

bool redact_is_option(const char *word)
{
	size_t length = strlen(word);

	if (word[0] != '-')
		return false;
	for (size_t i = 0; i < array_size(labels); i++) {
		size_t n = strlen(labels[i].word), k = 0;

		if (length <= n)
			continue;
		while (k < n && lower(word[length - n + k]) == labels[i].word[k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}
