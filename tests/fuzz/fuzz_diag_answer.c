/* fuzz_diag_answer: what sock_diag answers. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "diag/diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum diag_socket s = DIAG_NONE;

	if (diag_answer_parse(data, size, &s) == 0 && s != DIAG_LISTENS && s != DIAG_CONNECTED)
		abort();
	return 0;
}
