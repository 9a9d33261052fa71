/* probe, inside: the engine and one attempt, shared by the TCP and the HTTP half. */
#ifndef VIPD_PROBE_PROBE_INTERNAL_H
#define VIPD_PROBE_PROBE_INTERNAL_H

#include "multi/multi.h"
#include "probe/probe.h"

/* How long a server may take to say something, once connected (TCP), or to send its body (HTTP). */
#define PROBE_LISTEN_NS (UINT64_C(100) * NS_PER_MS)
/* How long it may take to close its half after we have closed ours. */
#define PROBE_CLOSE_NS (UINT64_C(500) * NS_PER_MS)
/* No server has more to say than this before we stop listening to it. */
#define PROBE_TALK_MAX (64 * 1024)

enum probe_phase {
	PROBE_ENDED, /* `result` is ready and told at the deadline, which has come */
	PROBE_CONNECTING, /* TCP: waits for the handshake; done is still to be called from here on up */
	PROBE_LISTENING, /* TCP: done was called; waits for what the server says */
	PROBE_CLOSING, /* TCP: our half is closed; waits for the server's */
	PROBE_HTTP,
	PROBE_DEAD, /* waits to be freed at the end of a batch */
};

struct probe_http;

/* Each live probe has a deadline: the engine's heap is also the list of all. */
struct probe {
	struct probe_engine *engine;
	enum probe_phase phase;
	int fd; /* TCP; owned */
	uint64_t start_ns;
	struct heap_item due; /* in probe_engine.due: its deadline */
	probe_done_fn done; /* NULL once called */
	void *user;
	const struct api_health_check *check; /* borrowed until done */
	struct addr target;
	uint32_t n_talk; /* bytes that the server said */
	union {
		struct probe_result *result; /* PROBE_ENDED; owned */
		struct probe_http *http; /* PROBE_HTTP; owned */
		struct probe *next_dead; /* PROBE_DEAD */
	} u;
};

struct probe_ports {
	uint16_t first;
	unsigned int n; /* 0: the kernel chooses */
};

/*
 * One descriptor of epoll for all probes, and one timer: a thousand checks a second then cost the loop
 * no source each. Events come in batches; what a batch frees is kept until its end, because a later
 * event of the same batch may point to it.
 */
struct probe_engine {
	struct loop *loop;
	struct probe_ports ports;
	uint32_t next_port;
	int epoll_fd;
	struct loop_source *io;
	struct loop_source *timer;
	uint64_t
		armed_ns; /* what the timer is set to; 0: not. Never later than the first deadline */
	struct heap due; /* of all probes, by deadline */
	bool in_batch;
	struct probe *dead;
	struct multi *curl; /* made at the first HTTP check */
};

/* The ports above `range`, the text of ip_local_port_range ("32768\t60999\n"); none if they are too few. */
struct probe_ports probe_ports_beside(const char *range);
struct probe_ports probe_ports_here(void);
/* Binds a new socket to the next of the engine's ports, if there is one to be had. */
void probe_bind(struct probe_engine *e, int fd, int family);

/* Around whatever may call done: frees and the timer wait for the end. */
void probe_batch_begin(struct probe_engine *e);
void probe_batch_end(struct probe_engine *e);

/* Moves p's deadline. */
void probe_set_deadline(struct probe *p, uint64_t deadline_ns);
/* Calls done if that is still due, then frees p. */
void probe_finish(struct probe *p, const struct probe_result *r, uint64_t now_ns);
/* Calls done, keeps p. */
void probe_tell(struct probe *p, const struct probe_result *r, uint64_t now_ns);
/* Takes p out of the engine and frees it, at the latest at the end of this batch. */
void probe_drop(struct probe *p);
/* Ends p by itself soon: done must not be called from within probe_start. */
int probe_end_soon(struct probe *p, const struct probe_result *r);
/* The result for a failed socket or connect call; r->latency_ns is when. */
void probe_result_errno(struct probe_result *r, int err);

int probe_tcp_start(struct probe *p);
/* events: of epoll. */
void probe_tcp_event(struct probe *p, uint32_t events, uint64_t now_ns);
void probe_tcp_timeout(struct probe *p, uint64_t now_ns);

int probe_http_start(struct probe *p);
void probe_http_timeout(struct probe *p, uint64_t now_ns);
void probe_http_free(struct probe_http *h); /* takes its transfer out of curl; NULL is fine */

#endif
