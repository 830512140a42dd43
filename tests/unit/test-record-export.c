/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record-sample.h"
#include "wire/effects.h"

/* ---- OCSF 1.8.0 ---- */

/* Of the classes: which activities there are, and what an event must have beside the base event.
 * From events/ and objects/ of the schema. */
static const struct {
	json_int_t class_uid, category_uid;
	json_int_t activities[17];
	const char *required[3];
} ocsf_classes[] = {
	{1001, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99, -1},
		{"actor", "device", "file"}},
	{1003, 1, {0, 1, 2, 3, 4, 99, -1}, {"actor", "device", "kernel"}},
	{1007, 1, {0, 1, 2, 3, 4, 5, 99, -1}, {"actor", "device", "process"}},
	{1008, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99, -1}, {"log_name"}},
	{2004, 2, {0, 1, 2, 3, 99, -1}, {"finding_info"}},
	{4001, 4, {0, 1, 2, 3, 4, 5, 6, 7, 99, -1}, {"dst_endpoint"}},
	{5019, 5, {0, 1, 2, 99, -1}, {"device"}},
};

/* Required attributes of the objects that are used. */
static void check_ocsf_objects(const json_t *event)
{
	const json_t *file = json_object_get(event, "file");
	const json_t *kernel = json_object_get(event, "kernel");
	const json_t *finding = json_object_get(event, "finding_info");
	const json_t *process = json_object_get(json_object_get(event, "actor"), "process");
	const json_t *metadata = json_object_get(event, "metadata");

	if (file) {
		string(file, "name");
		number(file, "type_id");
	}
	if (kernel) {
		string(kernel, "name");
		number(kernel, "type_id");
	}
	if (finding)
		string(finding, "uid");
	assert_true(json_object_get(process, "pid") || json_object_get(process, "uid"));
	number(json_object_get(event, "device"), "type_id");
	assert_string_equal(string(metadata, "version"), "1.8.0");
	string(json_object_get(metadata, "product"), "vendor_name");
	assert_int_equal(number(metadata, "sequence"), 812);
}

static void check_ocsf(const json_t *event)
{
	json_int_t class_uid = number(event, "class_uid"), activity = number(event, "activity_id");
	size_t i = 0, a = 0;

	while (i < array_size(ocsf_classes) && ocsf_classes[i].class_uid != class_uid)
		i++;
	assert_true(i < array_size(ocsf_classes));
	assert_int_equal(number(event, "category_uid"), ocsf_classes[i].category_uid);
	while (ocsf_classes[i].activities[a] >= 0 && ocsf_classes[i].activities[a] != activity)
		a++;
	if (ocsf_classes[i].activities[a] < 0)
		fail_msg("class %d has no activity %d", (int)class_uid, (int)activity);
	assert_int_equal(number(event, "type_uid"), class_uid * 100 + activity);
	assert_int_equal(number(event, "time"), 1795378443118LL);
	assert_in_range(number(event, "severity_id"), 0, 6);
	string(event, "message");
	for (size_t r = 0; r < 3 && ocsf_classes[i].required[r]; r++)
		if (!json_object_get(event, ocsf_classes[i].required[r]))
			fail_msg(
				"class %d without %s", (int)class_uid, ocsf_classes[i].required[r]);
	check_ocsf_objects(event);
}

static void ocsf_events_have_what_their_class_requires(void **state)
{
	const ProtobufCBinaryData target = BYTES(hostile), empty = {0};
	unsigned seen = 0;
	struct sample s;

	(void)state;
	FOR_EACH(s, target)
	{
		autotext struct text out = {0};
		json_t *event;

		export_record(EXPORT_OCSF, &s.record, &place, &out);
		one_line(text_string(&out));
		event = parse(text_string(&out));
		check_ocsf(event);
		json_decref(event);
		seen++;
	}
	FOR_EACH(s, empty)
	{
		autotext struct text out = {0};
		json_t *event;

		s.record.evidence = NULL;
		export_record(EXPORT_OCSF, &s.record, NULL, &out);
		event = parse(text_string(&out));
		check_ocsf(event);
		json_decref(event);
	}
	assert_true(seen > 200);
}

static json_t *denial(enum export_format format, const char *operation, enum denial_class class)
{
	ProtobufCBinaryData target = BYTES("/srv/a/.npmrc");
	autotext struct text out = {0};
	struct sample s;
	unsigned i = 0;

	while (sample_make(&s, i, operation, &target) &&
		s.record.body_case != BERM__WIRE__RECORD__BODY_DENIAL)
		i++;
	s.body.denial.class_ = class;
	s.body.denial.has_count = true;
	s.body.denial.count = 14;
	export_record(format, &s.record, &place, &out);
	return parse(text_string(&out));
}

static void a_denial_says_so_in_ocsf_and_ecs(void **state)
{
	json_t *event = denial(EXPORT_OCSF, "write", DENIAL_COUNTED);

	(void)state;
	assert_int_equal(number(event, "class_uid"), 1001);
	assert_int_equal(number(event, "activity_id"), 3);
	assert_int_equal(number(event, "action_id"), 2);
	assert_int_equal(number(event, "disposition_id"), 2);
	assert_string_equal(string(json_object_get(event, "file"), "path"), "/srv/a/.npmrc");
	assert_string_equal(string(json_object_get(event, "file"), "name"), ".npmrc");
	assert_string_equal(
		string(json_object_get(event, "firewall_rule"), "uid"), "/etc/a|b=c.yaml:14");
	assert_string_equal(string(event, "message"), "deny write /srv/a/.npmrc by node");
	assert_int_equal(number(json_object_get(event, "unmapped"), "count"), 14);
	assert_string_equal(
		string(json_object_get(event, "unmapped"), "enforcement"), "landlock+notify");
	json_decref(event);
	event = denial(EXPORT_OCSF, "read", DENIAL_CANARY);
	assert_int_equal(number(event, "class_uid"), 2004);
	assert_int_equal(number(event, "severity_id"), 4);
	assert_true(json_is_true(json_object_get(event, "is_alert")));
	json_decref(event);
	event = denial(EXPORT_ECS, "connect", DENIAL_COUNTED);
	assert_string_equal(string(event, "@timestamp"), "2026-11-22T20:14:03.118Z");
	assert_string_equal(string(json_object_get(event, "event"), "outcome"), "success");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_object_get(event, "event"), "type"), 1)),
		"denied");
	json_decref(event);
}

/* ---- ECS ---- */

/* Expected types of the categories that are used (field reference, event.category). */
static const struct {
	const char *category, *types[8];
} ecs_categories[] = {
	{"file", {"access", "change", "creation", "deletion", "info"}},
	{"process", {"access", "change", "end", "info", "start"}},
	{"network",
		{"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}},
	{"intrusion_detection", {"allowed", "denied", "info"}},
	{"configuration", {"access", "change", "creation", "deletion", "info"}},
	{"host", {"access", "change", "end", "info", "start"}},
};

static bool category_has(const char *category, const char *type)
{
	for (size_t i = 0; i < array_size(ecs_categories); i++) {
		if (strcmp(ecs_categories[i].category, category) != 0)
			continue;
		for (size_t t = 0; t < 8 && ecs_categories[i].types[t]; t++)
			if (strcmp(ecs_categories[i].types[t], type) == 0)
				return true;
	}
	return false;
}

static void ecs_events_use_the_types_of_their_categories(void **state)
{
	const ProtobufCBinaryData target = BYTES(hostile);
	struct sample s;

	(void)state;
	FOR_EACH(s, target)
	{
		autotext struct text out = {0};
		const json_t *event, *categories, *types;
		json_t *root;

		export_record(EXPORT_ECS, &s.record, &place, &out);
		one_line(text_string(&out));
		root = parse(text_string(&out));
		event = json_object_get(root, "event");
		categories = json_object_get(event, "category");
		types = json_object_get(event, "type");
		assert_true(json_array_size(categories) > 0 && json_array_size(types) > 0);
		for (size_t t = 0; t < json_array_size(types); t++) {
			bool known = false;

			for (size_t c = 0; c < json_array_size(categories); c++)
				known |= category_has(
					json_string_value(json_array_get(categories, c)),
					json_string_value(json_array_get(types, t)));
			if (!known)
				fail_msg("%s", text_string(&out));
		}
		string(root, "@timestamp");
		string(json_object_get(root, "ecs"), "version");
		json_decref(root);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(ocsf_events_have_what_their_class_requires),
		cmocka_unit_test(a_denial_says_so_in_ocsf_and_ecs),
		cmocka_unit_test(ecs_events_use_the_types_of_their_categories),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
