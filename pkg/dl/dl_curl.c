/* The functions of libcurl. Its two variadic ones take exactly one argument more, as wide as a pointer. */
#include <curl/curl.h>
#include <stdarg.h>

#include "dl/dl_internal.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

_Static_assert(sizeof(curl_off_t) == sizeof(void *) && sizeof(long) == sizeof(void *),
	       "an option's argument is one word");

/* Written once, by dl_curl, before the first of the functions below is called. */
static struct {
	bool loaded;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_global_cleanup) *global_cleanup;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_multi_add_handle) *multi_add_handle;
	__typeof__(curl_multi_assign) *multi_assign;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_multi_info_read) *multi_info_read;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_remove_handle) *multi_remove_handle;
	__typeof__(curl_multi_setopt) *multi_setopt;
	__typeof__(curl_multi_socket_action) *multi_socket_action;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
	__typeof__(curl_version_info) *version_info;
} lib;

int dl_curl(struct verr *reterr)
{
	const struct dl_function functions[] = {
		{"curl_easy_cleanup", (void **)&lib.easy_cleanup},
		{"curl_easy_getinfo", (void **)&lib.easy_getinfo},
		{"curl_easy_init", (void **)&lib.easy_init},
		{"curl_easy_setopt", (void **)&lib.easy_setopt},
		{"curl_easy_strerror", (void **)&lib.easy_strerror},
		{"curl_global_cleanup", (void **)&lib.global_cleanup},
		{"curl_global_init", (void **)&lib.global_init},
		{"curl_multi_add_handle", (void **)&lib.multi_add_handle},
		{"curl_multi_assign", (void **)&lib.multi_assign},
		{"curl_multi_cleanup", (void **)&lib.multi_cleanup},
		{"curl_multi_info_read", (void **)&lib.multi_info_read},
		{"curl_multi_init", (void **)&lib.multi_init},
		{"curl_multi_remove_handle", (void **)&lib.multi_remove_handle},
		{"curl_multi_setopt", (void **)&lib.multi_setopt},
		{"curl_multi_socket_action", (void **)&lib.multi_socket_action},
		{"curl_slist_append", (void **)&lib.slist_append},
		{"curl_slist_free_all", (void **)&lib.slist_free_all},
		{"curl_version_info", (void **)&lib.version_info},
	};
	int r;

	if (lib.loaded)
		return 0;
	r = dl_load(DL_CURL, functions, ARRAY_LEN(functions), reterr);
	lib.loaded = r == 0;
	return r;
}

void curl_easy_cleanup(CURL *curl)
{
	/* a request that was never made is freed like others */
	if (curl)
		lib.easy_cleanup(curl);
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	va_list args;
	void *arg;

	va_start(args, info);
	arg = va_arg(args, void *);
	va_end(args);
	return lib.easy_getinfo(curl, info, arg);
}

CURL *curl_easy_init(void)
{
	return lib.easy_init();
}

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	va_list args;
	void *arg;

	va_start(args, option);
	arg = va_arg(args, void *);
	va_end(args);
	return lib.easy_setopt(curl, option, arg);
}

const char *curl_easy_strerror(CURLcode code)
{
	return lib.easy_strerror(code);
}

void curl_global_cleanup(void)
{
	lib.global_cleanup();
}

CURLcode curl_global_init(long flags)
{
	return lib.global_init(flags);
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	return lib.multi_add_handle(multi, easy);
}

CURLMcode curl_multi_assign(CURLM *multi, curl_socket_t fd, void *user)
{
	return lib.multi_assign(multi, fd, user);
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
	return lib.multi_cleanup(multi);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
	return lib.multi_info_read(multi, left);
}

CURLM *curl_multi_init(void)
{
	return lib.multi_init();
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
	return lib.multi_remove_handle(multi, easy);
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
	va_list args;
	void *arg;

	va_start(args, option);
	arg = va_arg(args, void *);
	va_end(args);
	return lib.multi_setopt(multi, option, arg);
}

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running)
{
	return lib.multi_socket_action(multi, fd, events, running);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
	return lib.slist_append(list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
	if (list)
		lib.slist_free_all(list);
}

curl_version_info_data *curl_version_info(CURLversion age)
{
	return lib.version_info(age);
}
