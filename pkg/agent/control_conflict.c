/* Strangers that use a VIP's router ID or address: remembered for a while, told once. */
#include <string.h>

#include "agent/control.h"

static bool is_fresh(const struct control_sign *s, uint64_t now_ns)
{
	return s->at_ns != 0 && now_ns - s->at_ns < CONTROL_SIGN_NS;
}

bool control_sign_note(struct control_vip *v, const struct addr *address, const char *what,
		       bool node, uint64_t now_ns)
{
	struct control_sign *oldest = &v->signs[0];

	for (size_t i = 0; i < CONTROL_SIGNS; i++) {
		struct control_sign *s = &v->signs[i];

		if (is_fresh(s, now_ns) && addr_eq(&s->address, address) &&
		    strcmp(s->what, what) == 0) {
			s->at_ns = now_ns;
			return false;
		}
		if (s->at_ns < oldest->at_ns)
			oldest = s;
	}
	*oldest = (struct control_sign){.address = *address, .node = node, .at_ns = now_ns};
	snprintf(oldest->what, sizeof(oldest->what), "%s", what);
	return true;
}

void control_stranger(struct control *c, struct control_vip *v, const struct addr *address,
		      const char *what, uint64_t now_ns)
{
	char text[ADDR_TEXT_MAX];

	if (!control_sign_note(v, address, what, false, now_ns))
		return;
	log_warning("Stranger uses the virtual router ID or the address",
		    KV_STR("virtualIP", v->name), KV_STR("address", addr_text(address, text)),
		    KV_STR("what", what));
	control_event_stranger(c, v, text, what);
	control_report_changed(c);
}

bool control_strangers_text(const struct control_vip *v, uint64_t now_ns, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < CONTROL_SIGNS; i++) {
		const struct control_sign *s = &v->signs[i];
		char text[ADDR_TEXT_MAX];

		if (!is_fresh(s, now_ns) || s->node || len >= size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s (%s)", len ? ", " : "",
					addr_text(&s->address, text), s->what);
	}
	return len > 0;
}
