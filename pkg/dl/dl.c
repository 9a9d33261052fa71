/* dl: a library and its functions. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dl/dl_internal.h"

int dl_load(const char *library, const struct dl_function *functions, size_t n, struct verr *reterr)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return verr_set(reterr, ENOENT, "loading %s: %s", library, dlerror());
	for (size_t i = 0; i < n; i++) {
		*functions[i].ret = dlsym(handle, functions[i].name);
		if (!*functions[i].ret) {
			int r = verr_set(reterr, ENOENT, "loading %s: it has no function %s",
					 library, functions[i].name);

			(void)dlclose(handle);
			return r;
		}
	}
	return 0;
}

/* A segment that is never written, not even by the loader, holds what its file does. */
static void rest(uintptr_t base, const ElfW(Phdr) * segment)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (base + segment->p_vaddr) & ~(page - 1);
	uintptr_t end = (base + segment->p_vaddr + segment->p_memsz) & ~(page - 1);

	if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) || end <= start)
		return;
	/* Memory is locked for the election's sake, which uses none of these. If either fails, it only stays. */
	(void)munlock((void *)start, end - start);
	(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* The objects come in the order in which they were loaded. */
static int on_object(struct dl_phdr_info *info, size_t size, void *user)
{
	bool *is_ours = user;

	(void)size;
	*is_ours |= strstr(info->dlpi_name, DL_CURL) || strstr(info->dlpi_name, DL_MHD);
	for (size_t i = 0; *is_ours && i < info->dlpi_phnum; i++)
		rest(info->dlpi_addr, &info->dlpi_phdr[i]);
	return 0;
}

void dl_rest(void)
{
	bool is_ours = false;

	(void)dl_iterate_phdr(on_object, &is_ours);
}
