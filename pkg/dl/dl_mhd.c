/* The functions of libmicrohttpd. */
#include <microhttpd.h>
#include <stdarg.h>

#include "dl/dl_internal.h"

/* Written once, by dl_mhd, before the first of the functions below is called. */
static struct {
	bool loaded;
	__typeof__(MHD_add_response_header) *add_response_header;
	__typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
	__typeof__(MHD_destroy_response) *destroy_response;
	__typeof__(MHD_get_daemon_info) *get_daemon_info;
	__typeof__(MHD_get_timeout) *get_timeout;
	__typeof__(MHD_get_version) *get_version;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_run) *run;
	__typeof__(MHD_start_daemon_va) *start_daemon_va;
	__typeof__(MHD_stop_daemon) *stop_daemon;
} lib;

int dl_mhd(struct verr *reterr)
{
	const struct dl_function functions[] = {
		{"MHD_add_response_header", (void **)&lib.add_response_header},
		{"MHD_create_response_from_buffer", (void **)&lib.create_response_from_buffer},
		{"MHD_destroy_response", (void **)&lib.destroy_response},
		{"MHD_get_daemon_info", (void **)&lib.get_daemon_info},
		{"MHD_get_timeout", (void **)&lib.get_timeout},
		{"MHD_get_version", (void **)&lib.get_version},
		{"MHD_queue_response", (void **)&lib.queue_response},
		{"MHD_run", (void **)&lib.run},
		{"MHD_start_daemon_va", (void **)&lib.start_daemon_va},
		{"MHD_stop_daemon", (void **)&lib.stop_daemon},
	};
	int r;

	if (lib.loaded)
		return 0;
	r = dl_load(DL_MHD, functions, ARRAY_LEN(functions), reterr);
	lib.loaded = r == 0;
	return r;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *header,
					const char *content)
{
	return lib.add_response_header(response, header, content);
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
						     enum MHD_ResponseMemoryMode mode)
{
	return lib.create_response_from_buffer(size, buffer, mode);
}

void MHD_destroy_response(struct MHD_Response *response)
{
	lib.destroy_response(response);
}

/* No argument is asked for that would come in the dots. */
const union MHD_DaemonInfo *MHD_get_daemon_info(struct MHD_Daemon *daemon,
						enum MHD_DaemonInfoType type, ...)
{
	return lib.get_daemon_info(daemon, type);
}

enum MHD_Result MHD_get_timeout(struct MHD_Daemon *daemon, MHD_UNSIGNED_LONG_LONG *timeout)
{
	return lib.get_timeout(daemon, timeout);
}

const char *MHD_get_version(void)
{
	return lib.get_version();
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
				   struct MHD_Response *response)
{
	return lib.queue_response(connection, status, response);
}

enum MHD_Result MHD_run(struct MHD_Daemon *daemon)
{
	return lib.run(daemon);
}

struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port, MHD_AcceptPolicyCallback apc,
				    void *apc_user, MHD_AccessHandlerCallback handler,
				    void *handler_user, ...)
{
	struct MHD_Daemon *daemon;
	va_list options;

	va_start(options, handler_user);
	daemon = lib.start_daemon_va(flags, port, apc, apc_user, handler, handler_user, options);
	va_end(options);
	return daemon;
}

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
	lib.stop_daemon(daemon);
}
