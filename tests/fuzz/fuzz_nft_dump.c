/* fuzz_nft_dump: lists of set elements, as nf_tables dumps them. First byte: which set of which table. */
#include <stdlib.h>
#include <stddef.h>
#include <stdint.h>

#include "nft/nft_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and is the same again. */
static int on_elem(void *user, const struct plan_elem *e)
{
	enum nft_table *t = user;
	uint8_t key[NFT_KEY_MAX];

	if (nft_key_emit(e, key) != nft_key_len(*t, e->set) || !nft_elem_is_in(e, *t))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum nft_table t;
	enum plan_set s;

	if (size == 0)
		return 0;
	t = (enum nft_table)(data[0] % NFT_T_N);
	s = (enum plan_set)(data[0] / NFT_T_N % PLAN_SET_N);
	(void)nft_event_is_ours(data + 1, size - 1);
	if (nft_table_has(t, s))
		(void)nft_elems_parse(t, s, data + 1, size - 1, on_elem, &t);
	return 0;
}
