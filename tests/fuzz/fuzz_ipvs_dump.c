/* Bytes as a datagram of the kernel's replies, through every reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipvs/ipvs_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* aligned as the receive buffer is */
	struct ipvs_reply_walk w = {.buf = copy, .len = size};
	enum ipvs_reply kind;

	if (!copy)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	while ((kind = ipvs_reply_next(&w)) != IPVS_REPLY_END && kind != IPVS_REPLY_BAD) {
		struct plan_service service;
		struct plan_dest dest;
		struct plan_sync sync;
		struct ipvs_timeouts timeouts;
		struct ipvs_info info;
		bool is_master;

		if (kind != IPVS_REPLY_DATA)
			continue;
		(void)ipvs_parse_service(w.msg, &service);
		(void)ipvs_parse_dest(w.msg, AF_INET, &dest);
		(void)ipvs_parse_dest(w.msg, AF_INET6, &dest);
		(void)ipvs_parse_daemon(w.msg, &is_master, &sync);
		(void)ipvs_parse_timeouts(w.msg, &timeouts);
		(void)ipvs_parse_info(w.msg, &info);
	}
	free(copy);
	return 0;
}
