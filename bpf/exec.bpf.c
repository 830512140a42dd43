// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs, by inode: a copy, a link or another name of a program is another inode or another
 * place. */
#include "effect.bpf.h"

HOOK(bprm_creds_for_exec, bprm_creds_for_exec, (struct linux_binprm * bprm), (bprm))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_bprm_creds_for_exec, METER_NO_EXEC);

	if (r <= 0)
		return r;
	r = charge(s.slot, METER_PROGRAMS_STARTED, 1, s.hook);
	if (r)
		return r;
	s.work->programs = 1;
	s.work->programs_slot = s.slot;
	return 0;
}

/* For the file itself and again for each interpreter that a script names. */
HOOK(bprm_check_security, bprm_check, (struct linux_binprm * bprm), (bprm))
{
	struct file *file = bprm->file;
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_bprm_check_security, METER_NO_EXEC);

	if (r <= 0)
		return r;
	/* A program without a name (memfd, O_TMPFILE, unlinked): nothing could say afterwards what
	 * ran. */
	if (s.run->scope && (is_internal(file->f_path.mnt) || file->f_inode->i_nlink == 0)) {
		spell(file->f_path.dentry, s.work);
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	}
	r = decide(&s, file->f_path.dentry, METER_RIGHT_EXEC);
	if (!r)
		report_activity(&s, file->f_path.dentry);
	return r;
}

SEC("?fexit/bprm_execve")
int probe_bprm_execve(void *ctx)
{
	struct subject s;

	if (find_subject(&s, METER_HOOK_bprm_execve) <= 0)
		return 0;
	prove(s.run, METER_HOOK_bprm_execve);
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (!s.work || !s.work->programs)
		return 0;
	if ((int)result_of(ctx) < 0)
		refund(s.work->programs_slot, METER_PROGRAMS_STARTED, 1);
	s.work->programs = 0;
	return 0;
}
