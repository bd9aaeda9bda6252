// SPDX-License-Identifier: GPL-2.0-only
/*
 * A livepatch module whose init and exit call nothing of livepatch: a file in
 * /proc does, one call a write. `patch` is the module's klp_patch; REGISTRATION
 * is defined where klp_register_patch() exists.
 *
 * /proc/<module>/api   write "<call> <which>": the klp_<call>_patch() of that
 *                      name; the write fails with what it returned. <call> is
 *                      register, enable, disable or unregister, <which> null,
 *                      first (patch) or second (another klp_patch of the same
 *                      module, without objects).
 *                      write "hold" or "let-go": a reference of the kobject of
 *                      patch is taken or given back.
 */
#include "files.h"

static struct klp_object no_objects[] = {
	{ }
};

static struct klp_patch second = {
	.mod = THIS_MODULE,
	.objs = no_objects,
};

#ifdef REGISTRATION
/*
 * The names of released kobjects have been freed, and the kernel frees them
 * once more when it names them anew (lib/kobject.c, kobject_set_name_vargs).
 * What a register after an unregister is asked about is not the allocator.
 */
static void forget_names(struct klp_patch *which)
{
	struct klp_object *obj;
	struct klp_func *func;

	which->kobj.name = NULL;
	for (obj = which->objs; obj && (obj->funcs || obj->name); obj++) {
		obj->kobj.name = NULL;
		for (func = obj->funcs; func && (func->old_name || func->new_func || func->old_sympos); func++)
			func->kobj.name = NULL;
	}
}

static int unregister(struct klp_patch *which)
{
	int ret = klp_unregister_patch(which);

	if (!ret)
		forget_names(which);
	return ret;
}
#endif

static int call_api(const char *call, struct klp_patch *which)
{
	if (!strcmp(call, "enable"))
		return klp_enable_patch(which);
#ifdef REGISTRATION
	if (!strcmp(call, "register"))
		return klp_register_patch(which);
	if (!strcmp(call, "disable"))
		return klp_disable_patch(which);
	if (!strcmp(call, "unregister"))
		return unregister(which);
#endif
	return -EOPNOTSUPP;
}

static ssize_t api_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char words[40], call[20] = "", which[20] = "";
	struct klp_patch *patches[] = { NULL, &patch, &second };
	static const char *const names[] = { "null", "first", "second" };
	int i, ret = words_from_user(words, sizeof(words), buf, len);

	if (ret)
		return ret;
	if (sscanf(words, "%19s %19s", call, which) == 1) {
		if (!strcmp(call, "hold"))
			kobject_get(&patch.kobj);
		else if (!strcmp(call, "let-go"))
			kobject_put(&patch.kobj);
		else
			return -EINVAL;
		return len;
	}
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(which, names[i]))
			continue;
		ret = call_api(call, patches[i]);
		return ret < 0 ? ret : len;
	}
	return -EINVAL;
}

static const PROC_OPS api_ops = { PROC_WRITE = api_write };

static bool make_api(void)
{
	return make_file("api", 0200, &api_ops);
}
