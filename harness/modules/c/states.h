/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What callbacks keep in the system states of their patch: the names of the
 * patches that have kept something there, the newest last. It is copied, so that
 * the patch before may go.
 */
#define STATES ((int)ARRAY_SIZE(states) - 1)

static char kept[ARRAY_SIZE(states)][200];

static const char *data_of(const struct klp_state *state)
{
	return state && state->data ? state->data : NULL;
}

static void take_over(void)
{
	int i;

	for (i = 0; i < STATES; i++) {
		struct klp_state *own = klp_get_state(&patch, states[i].id);
		const char *before = data_of(klp_get_prev_state(states[i].id));

		snprintf(kept[i], sizeof(kept[i]), "%s%s%s", before ? before : "", before ? "+" : "", THIS_MODULE->name);
		own->data = kept[i];
	}
}

/* Says what a callback finds: in the states of its own patch, or of the one before. */
static void say_states(char *text, size_t room, bool before)
{
	int i, n = 0;

	for (i = 0; i < STATES; i++) {
		unsigned long id = states[i].id;
		const char *data = data_of(before ? klp_get_prev_state(id) : klp_get_state(&patch, id));

		n += scnprintf(text + n, room - n, " state %lu: %s", id, data ? data : "nothing");
	}
}
