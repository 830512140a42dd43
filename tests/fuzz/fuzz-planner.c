/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "daemon/planner-wire.h"

/* What a planner that was taken over can answer: what is taken packs to the same bytes, can be
 * shown on a terminal, and is a tree within the bounds of a file. Input: the answer, without its
 * length. */

static size_t check_tree(const struct node *node, const struct node *parent, unsigned depth)
{
	size_t nodes = 1, entries = 0;

	assert(node->at.line && node->at.column && strcmp(node->at.file, "f") == 0);
	assert(!node->key == (!parent || parent->kind != NODE_MAPPING));
	if (node->kind == NODE_SCALAR)
		assert(node->text && strlen(node->text) <= DOCUMENT_SCALAR_BYTES_MAX);
	else
		assert(!node->text && depth < DOCUMENT_DEPTH_MAX);
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		nodes += check_tree(entry, node, depth + 1);
		assert(entry->next || entry == node->last);
		entries++;
	}
	assert(entries == node->count && (node->kind != NODE_SCALAR || !entries));
	return nodes;
}

static void take(const Berm__Wire__PlannerAnswer *answer)
{
	Berm__Wire__PlannerAnswer again;
	autoarena struct arena arena = {0};
	struct node *root = NULL;
	struct error err = {0};
	int r = planner_nodes_take(answer, &arena, "f", &root, &err);

	if (r < 0) {
		assert(!root && err.text[0]);
		return;
	}
	assert(!root == !answer->n_nodes);
	if (!root)
		return;
	assert(check_tree(root, NULL, 0) == answer->n_nodes);
	berm__wire__planner_answer__init(&again);
	assert(planner_nodes_put(root, &again) == 0 && again.n_nodes == answer->n_nodes);
	for (size_t i = 0; i < again.n_nodes; i++) {
		assert(strcmp(again.nodes[i]->text, answer->nodes[i]->text) == 0);
		assert(strcmp(again.nodes[i]->key, answer->nodes[i]->key) == 0);
		berm__wire__planner_node__free_unpacked(again.nodes[i], NULL);
	}
	free(again.nodes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Berm__Wire__PlannerAnswer *answer = NULL;
	struct error err = {0};
	int r = planner_answer_read(data, size, &answer, &err);

	if (r < 0 || !answer) {
		assert(r < 0 && !answer && err.text[0]);
		return 0;
	}
	assert(berm__wire__planner_answer__get_packed_size(answer) == size);
	assert(!answer->error || (!answer->n_nodes && !answer->plan && !answer->question));
	assert(is_safe_to_show(answer->reason, 0) && !answer->question == !!answer->diagnostics);
	take(answer);
	berm__wire__planner_answer__free_unpacked(answer, NULL);
	return 0;
}
