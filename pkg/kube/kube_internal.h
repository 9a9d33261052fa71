/* Shared by the files of the kube room only. The cores come first, then what has effects. */
#ifndef VIPD_KUBE_INTERNAL_H
#define VIPD_KUBE_INTERNAL_H

#include <sys/queue.h>

#include "kube/kube.h"

/* ---- back-off (core): as client-go's reflector, with kube-rs' way to forget ---- */

struct kube_backoff {
	uint64_t base_ns; /* first delay; 0: KUBE_BACKOFF_BASE_NS */
	uint64_t max_ns; /* greatest delay; 0: KUBE_BACKOFF_MAX_NS */
	uint64_t next_ns; /* the next delay; 0: the first one */
	uint64_t over_ns; /* when the last delay is over; 0: there was none */
};
#define KUBE_BACKOFF_BASE_NS (800 * NS_PER_MS)
#define KUBE_BACKOFF_MAX_NS (30 * NS_PER_S)
#define KUBE_BACKOFF_RESET_NS (120 * NS_PER_S)

/*
 * How long to sleep: uniform in [d, 2d) by dice, d doubling from the base to 30 s; from the base again if the
 * last sleep was over 2 minutes ago. Not less than at_least_ns, what a server asked for.
 */
uint64_t kube_backoff_next(struct kube_backoff *b, uint64_t now_ns, uint64_t at_least_ns,
			   uint32_t dice);

/* ---- splitter (core): a byte stream into JSON objects ---- */

/* One whole object, borrowed for the call. A negative answer ends the feeding and is returned by it. */
typedef int (*kube_value_fn)(void *user, const char *bytes, size_t len);

struct kube_splitter {
	size_t max; /* bytes of one object */
	char *buf; /* the beginning of an object that is not whole yet */
	size_t len, room;
	size_t depth; /* of brackets; 0: between objects */
	bool is_string, is_escape;
};
void kube_splitter_init(struct kube_splitter *s, size_t max);
void kube_splitter_done(struct kube_splitter *s);
/*
 * Looks at every byte once. -EBADMSG: something else than an object between objects; -EFBIG: an object
 * greater than max; -ENOMEM; or what fn gave. After an error the stream is lost.
 */
int kube_splitter_feed(struct kube_splitter *s, const char *bytes, size_t len, kube_value_fn fn,
		       void *user);

/* ---- what the API server says (core) ---- */

/* How a request ended that did not do what it was for. */
enum kube_fail {
	KUBE_FAIL_NONE,
	KUBE_FAIL_REFUSED, /* nobody listens there */
	KUBE_FAIL_NET, /* any other end without a whole answer */
	KUBE_FAIL_BUSY, /* 429, or 5xx with a Retry-After: the same again later */
	KUBE_FAIL_EXPIRED, /* 410: the version is too old */
	KUBE_FAIL_AHEAD, /* 504 "too large resource version": the version is too new for this server */
	KUBE_FAIL_MISSING, /* 404 */
	KUBE_FAIL_STATUS, /* any other status */
	KUBE_FAIL_BAD, /* an answer that makes no sense */
};

struct kube_status {
	enum kube_fail fail;
	int code;
	const char *reason; /* "" if there is none; these are borrowed from the JSON */
	const char *message;
	uint64_t retry_after_ns;
};
/*
 * http: the HTTP status, or 0 for the object of an ERROR event. status: the Status object or whatever else
 * came, or NULL. retry_after_ns: of the header.
 */
void kube_status_read(int http, const json_t *status, uint64_t retry_after_ns,
		      struct kube_status *ret);

enum kube_watch_type {
	KUBE_WATCH_ADDED,
	KUBE_WATCH_MODIFIED,
	KUBE_WATCH_DELETED,
	KUBE_WATCH_BOOKMARK,
	KUBE_WATCH_ERROR,
};

/* What makes an object that object. Borrowed from it. */
struct kube_meta {
	const char *kind; /* "" where lists leave it out */
	const char *name, *namespace_, *uid, *resource_version;
};
/* -EBADMSG without a metadata.name, uid or resourceVersion; of a bookmark only the last is needed. */
int kube_meta_read(const json_t *object, bool is_bookmark, struct kube_meta *ret);

struct kube_watch_event {
	enum kube_watch_type type;
	json_t *object; /* borrowed from the event */
	struct kube_meta meta; /* not of KUBE_WATCH_ERROR */
};
/* -EBADMSG: no event, or of an unknown type. */
int kube_watch_event_read(const json_t *event, struct kube_watch_event *ret);

/* ---- reflector (core): when to list, when to watch, when to wait ---- */

#define KUBE_VERSION_MAX 128 /* of a resourceVersion, with its end; a longer one is a bad answer */
#define KUBE_PAGE_LIMIT 500u

enum kube_reflect_state {
	KUBE_REFLECT_IDLE,
	KUBE_REFLECT_LISTING,
	KUBE_REFLECT_WATCHING, /* from the request on */
	KUBE_REFLECT_SLEEPING,
};

enum kube_reflect_ev_type {
	KUBE_EV_START,
	KUBE_EV_TIMER, /* the deadline, or any other time */
	KUBE_EV_BACK, /* servers that did not answer do so again: somebody has found out */
	KUBE_EV_RELIST, /* somebody wants to hear what is latest, now */
	KUBE_EV_LIST_PAGE, /* good as a whole and delivered; version, has_more */
	KUBE_EV_LIST_FAILED, /* fail, retry_after_ns */
	KUBE_EV_WATCH_OPEN, /* 200, the stream begins */
	KUBE_EV_WATCH_BYTES, /* something came */
	KUBE_EV_WATCH_CHANGE, /* ADDED, MODIFIED, DELETED, delivered; version */
	KUBE_EV_WATCH_BOOKMARK, /* version */
	KUBE_EV_WATCH_ALIEN, /* an object of another kind: passed over */
	KUBE_EV_WATCH_ERROR, /* an ERROR event, or bytes that make no sense; fail, retry_after_ns */
	KUBE_EV_WATCH_FAILED, /* before it was open; fail, retry_after_ns */
	KUBE_EV_WATCH_ENDED, /* after it was open, in whatever way */
};

struct kube_reflect_ev {
	enum kube_reflect_ev_type type;
	uint64_t now_ns;
	uint32_t dice; /* random */
	const char *version; /* at most KUBE_VERSION_MAX - 1 bytes, not "" */
	bool has_more; /* the page has a continue token */
	enum kube_fail fail;
	uint64_t retry_after_ns;
};

/* In this order. */
#define KUBE_ACT_DROP 1u /* close the watch; of a relist also the list that is under way */
#define KUBE_ACT_SWEEP 2u /* what no page of this list has named is gone */
#define KUBE_ACT_SYNCED 4u
#define KUBE_ACT_LIST 8u /* the first page, at `version`, with `limit` (0: all at once) */
#define KUBE_ACT_LIST_MORE 16u /* the next page: by the token, without a version */
#define KUBE_ACT_WATCH 32u /* from `version` */

struct kube_reflect_out {
	unsigned int acts;
	uint64_t deadline_ns; /* KUBE_EV_TIMER then; 0: none */
	const char *version; /* borrowed from the state; "" is unset */
	unsigned int limit;
};

struct kube_reflect {
	enum kube_reflect_state state;
	struct kube_backoff backoff;
	char version[KUBE_VERSION_MAX]; /* last one seen */
	char list_version[KUBE_VERSION_MAX]; /* of the first page of the list under way */
	bool is_synced;
	bool is_lost; /* the server does not know `version`: list what is latest */
	bool is_whole; /* the list under way is asked for in one piece, because pages expired */
	bool is_paging; /* a later page is under way */
	bool is_open; /* the watch's stream has begun */
	bool has_bookmark; /* seen on this watch: so they come every minute */
	bool wakes_to_watch; /* what the sleep is followed by: a watch, else a list */
	bool is_cut_off; /* sleeping because no server answered */
	uint32_t n_busy; /* delays in a row that a server asked for */
	uint32_t n_stale; /* lists since the last event whose version the watch did not know */
	uint64_t n_heard; /* events of this watch */
	uint64_t listed_ns, watched_ns, opened_ns, heard_ns, wake_ns;
};
void kube_reflect_init(struct kube_reflect *s);
void kube_reflect_step(struct kube_reflect *s, const struct kube_reflect_ev *ev,
		       struct kube_reflect_out *ret);

/* ---- Events (core): when to tell of what happens again and again ---- */

struct kube_series {
	uint64_t last_ns; /* when it last occurred */
	uint64_t sent_ns; /* when the server was last told */
	uint32_t count; /* occurrences */
	uint32_t sent_count; /* of which the server knows */
	uint32_t sending; /* of which the request under way tells */
	uint32_t n_tries;
	bool wants_send; /* belongs into the queue */
	bool is_posted; /* the server has the Event: PATCH, else POST */
};
void kube_series_occur(struct kube_series *s, uint64_t now_ns);
/* Now and then. True: it is over and can be forgotten. May set wants_send. */
bool kube_series_tick(struct kube_series *s, uint64_t now_ns);
enum kube_series_end {
	KUBE_SERIES_OK,
	KUBE_SERIES_GONE, /* 404 */
	KUBE_SERIES_LATER, /* no answer, or a request to come again */
	KUBE_SERIES_REFUSED, /* any other status */
};
enum kube_series_next {
	KUBE_SERIES_KEEP,
	KUBE_SERIES_AGAIN, /* send at once */
	KUBE_SERIES_RETRY, /* send after kube_series_retry_ns */
	KUBE_SERIES_DROP, /* give up and forget it */
};
enum kube_series_next kube_series_sent(struct kube_series *s, enum kube_series_end end,
				       uint64_t now_ns);
uint64_t kube_series_retry_ns(uint64_t asked_ns, uint32_t dice);

/* Tokens: burst at once, then one per refill_ns. Starts with tokens = burst. */
struct kube_bucket {
	uint64_t refill_ns, since_ns;
	uint32_t burst, tokens;
};
bool kube_bucket_take(struct kube_bucket *b, uint64_t now_ns);
bool kube_bucket_is_full(const struct kube_bucket *b, uint64_t now_ns);
/* When there is one again, if there is none. */
uint64_t kube_bucket_next_ns(const struct kube_bucket *b);

/* ---- configuration ---- */

struct kube_blob {
	char *bytes; /* NULL: none; NUL-terminated for convenience */
	size_t len;
};
void kube_blob_done(struct kube_blob *b);

/* What can stand in the file or beside it: data if it has bytes, else path, else neither. */
struct kube_secret {
	struct kube_blob data;
	char *path;
};

struct kube_config {
	char **servers; /* "https://host:port", without a slash at the end */
	size_t n_servers;
	char *servers_text;
	char *tls_server_name; /* NULL: the host of the server */
	bool is_insecure; /* do not verify the server */
	struct kube_secret ca, cert, key, token;
};

/* Reads a small file whole: -EFBIG above 1 MiB. */
int kube_file_read(const char *path, struct kube_blob *ret, struct verr *reterr);
/* Standard base64, white space allowed. -EBADMSG. */
int kube_base64_decode(const char *text, struct kube_blob *ret);
/* The first document; every scalar becomes a string. -EBADMSG "name:line: text"; -ENOMEM. */
int kube_yaml_parse(const char *name, const struct kube_blob *bytes, json_t **ret,
		    struct verr *reterr);

/* ---- credentials: read again and again, the last good ones stay ---- */

struct kube_auth {
	const struct kube_config *config;
	struct kube_blob token, ca, cert, key; /* bytes NULL: none */
	uint64_t token_ns, files_ns; /* when they were read; 0: to be read */
	uint64_t n_replaced; /* how often what a request shows has become another */
};
/* Reads everything for the first time; what is configured must be there. */
int kube_auth_init(struct kube_auth *a, const struct kube_config *config, uint64_t now_ns,
		   struct verr *reterr);
void kube_auth_done(struct kube_auth *a);
/* Before a request: re-reads the token after 60 s, certificates after 5 minutes. */
void kube_auth_refresh(struct kube_auth *a, uint64_t now_ns);
/* A request that began at start_ns was answered with 401. */
void kube_auth_refused(struct kube_auth *a, uint64_t start_ns);
/* One that began then found a server that it does not trust, or that does not trust it. */
void kube_auth_distrusted(struct kube_auth *a, uint64_t start_ns);
/*
 * After kube_auth_refused: true if there is by now something else to show than when n_replaced was as given. If there is
 * not, the next request looks again.
 */
bool kube_auth_renew(struct kube_auth *a, uint64_t n_replaced, uint64_t now_ns);

/* ---- HTTP: transfers on the loop ---- */

struct kube_result {
	int status; /* 0: no answer */
	enum kube_fail
		fail; /* REFUSED, NET or BAD (too big): there was no whole answer; else NONE */
	const char *error; /* then, for people; else "" */
	const char *body; /* of a stream only if status is not 200; NUL-terminated */
	size_t len;
	uint64_t retry_after_ns;
	bool is_tls; /* one side does not trust the other, or might not */
	bool is_distrusted; /* this one, for sure */
};

struct kube_transfer_ops {
	/* Streams only: status 200, then its bytes. Never from within curl: all is allowed there. */
	void (*on_open)(void *user, uint64_t now_ns);
	void (*on_bytes)(void *user, const char *bytes, size_t len, uint64_t now_ns);
	/* Once; the transfer is freed after it. A stream's bytes have come before. */
	void (*on_done)(void *user, const struct kube_result *result, uint64_t now_ns);
	/* The client is being freed: there will be no on_done. NULL: nothing is to be done then. */
	void (*on_lost)(void *user);
};

struct kube_transfer_conf {
	const char *method; /* "GET"; a literal */
	const char *path; /* with its query */
	const char *content_type; /* of the body; a literal */
	char *body; /* NULL: none. Taken, on success */
	uint64_t timeout_ns; /* of everything */
	size_t max_body; /* of an answer that is kept */
	bool is_stream;
};

struct kube_transfer;

/* Nothing is called before this has returned. -ENOMEM. */
int kube_transfer_start(struct kube *k, const struct kube_transfer_conf *conf,
			const struct kube_transfer_ops *ops, void *user,
			struct kube_transfer **ret);
/* NULL is fine. */
void kube_transfer_cancel(struct kube_transfer *t);

/* A GET of a watch or a list: path?a=b&c=d, values escaped, those that are NULL or "" left out. NULL: no memory. */
struct kube_query {
	const char *key, *value;
};
char *kube_url_path(const char *path, const struct kube_query *query, size_t n);

/* One line of printable text of at most size - 1 bytes, from foreign bytes. Returns dst. */
char *kube_text_line(char *dst, size_t size, const char *src, size_t len);
/* What a failed request says to people: "403 Forbidden: ..." or "Connection refused". Returns dst. */
char *kube_result_text(const struct kube_result *r, const struct kube_status *s, char *dst,
		       size_t size);
#define KUBE_PROBLEM_MAX 512

/* ---- the objects that have been delivered (by key, with what tells versions apart) ---- */

struct kube_store;
int kube_store_new(struct kube_store **ret);
void kube_store_free(struct kube_store *s);
size_t kube_store_count(const struct kube_store *s);
enum kube_news {
	KUBE_NEWS_NONE, /* this version is known */
	KUBE_NEWS_SET, /* new, or another version */
	KUBE_NEWS_REPLACED, /* there is another object of that name now */
};
/* Notes an object, and that this round has seen it. -ENOMEM: nothing has changed. */
int kube_store_put(struct kube_store *s, const struct kube_meta *m, uint64_t round,
		   enum kube_news *ret);
/* Forgets it, if it is known with the same uid. -ENOMEM: nothing has changed. */
int kube_store_remove(struct kube_store *s, const struct kube_meta *m, bool *ret_was_known);
/* Forgets all that this round has not seen, and tells of each. fn must not touch the store. */
typedef void (*kube_store_fn)(void *user, const char *namespace_, const char *name);
void kube_store_sweep(struct kube_store *s, uint64_t round, kube_store_fn fn, void *user);

/* ---- the client ---- */

struct kube_http;

/* What has been reported of the servers; each is worse than the one before. */
enum kube_away {
	KUBE_HERE,
	KUBE_AWAY, /* none answers */
	KUBE_DISTRUSTED, /* and that for its certificate */
};

struct kube {
	struct loop *loop;
	struct kube_config *config;
	struct kube_auth auth;
	char *user_agent;
	kube_report_fn report;
	void *user;
	struct kube_http *http;
	TAILQ_HEAD(, kube_reflector) reflectors;
	size_t server_idx; /* of the one in use */
	struct kube_stats stats;
	enum kube_away away;
	uint64_t backoff_base_ns, backoff_max_ns; /* 0: as they should be; tests are in a hurry */
};
void kube_report(struct kube *k, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint32_t kube_dice(void);
/* Wakes those that sleep because no server answered. */
void kube_reflectors_back(struct kube *k, uint64_t now_ns);

#endif
