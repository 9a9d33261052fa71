/* VirtualIP: every field good, bad and at its bounds, with the path and the words of each problem. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api_json.h"

struct row {
	const char *path; /* where the value goes */
	const char *value;
	const char *want_path; /* of the only problem; NULL: the object is good */
	const char *want_msg;
	const char *also_path; /* a second change, made first; may be NULL */
	const char *also_value;
};

static void check_row(const struct row *row)
{
	json_t *object = minimal_vip();
	struct api_vip *v = NULL;
	struct api_problems problems = {0};
	int r;

	if (row->also_path)
		json_put(object, row->also_path, row->also_value);
	json_put(object, row->path, row->value);
	r = api_vip_decode(object, &v, &problems);
	if (!row->want_path) {
		if (r < 0)
			fail_msg("%s = %s: %s: %s", row->path, row->value, problems.items[0].path,
				 problems.items[0].msg);
		assert_int_equal(problems.n, 0);
	} else {
		if (r != -EINVAL || problems.n != 1)
			fail_msg("%s = %s: returned %d with %zu problems (%s: %s)", row->path,
				 row->value ? row->value : "(none)", r, problems.n,
				 problems.n ? problems.items[problems.n - 1].path : "",
				 problems.n ? problems.items[problems.n - 1].msg : "");
		assert_null(v);
		assert_string_equal(problems.items[0].path, row->want_path);
		assert_string_equal(problems.items[0].msg, row->want_msg);
	}
	api_vip_free(v);
	api_problems_done(&problems);
	json_decref(object);
}

#define GOOD(path, value)                           \
	{                                           \
		path, value, NULL, NULL, NULL, NULL \
	}
#define BAD(path, value, msg)                      \
	{                                          \
		path, value, path, msg, NULL, NULL \
	}
#define BAD_AT(path, value, at, msg)             \
	{                                        \
		path, value, at, msg, NULL, NULL \
	}
#define GOOD_WITH(also, also_value, path, value)          \
	{                                                 \
		path, value, NULL, NULL, also, also_value \
	}
#define BAD_WITH(also, also_value, path, value, at, msg) \
	{                                                \
		path, value, at, msg, also, also_value   \
	}

#define SUBDOMAIN                                                                             \
	"must be a DNS subdomain: a-z, 0-9, '-' and '.', letter or digit first and last, at " \
	"most 253"
#define IFNAME \
	"must be the name of a network interface: 1 to 15 characters without '/', ':' and spaces"
#define LABEL "must be a DNS label: a-z, 0-9 and '-', letter or digit first and last, at most 63"

static const struct row head_rows[] = {
	BAD("apiVersion", "'vipd.io/v1'", "\"vipd.io/v1\": must be vipd.io/v1alpha1"),
	BAD("apiVersion", "1", "1: must be a string: put it in quotes"),
	BAD("apiVersion", NULL, "is missing"),
	BAD("kind", "'Vip'", "\"Vip\": must be VirtualIP"),
	BAD("metadata", NULL, "is missing"),
	BAD("metadata", "[]", "a list: must be a map"),
	BAD("metadata.name", NULL, "is missing"),
	BAD("metadata.name", "''", "\"\": " SUBDOMAIN),
	BAD("metadata.name", "'SSH'", "\"SSH\": " SUBDOMAIN),
	BAD("metadata.name", "'a..b'", "\"a..b\": " SUBDOMAIN),
	BAD("metadata.name", "'-a'", "\"-a\": " SUBDOMAIN),
	BAD("metadata.name", "'a.'", "\"a.\": " SUBDOMAIN),
	BAD("metadata.name", "'a\\u0000b'", "\"a\": must not have a NUL character in it"),
	BAD("metadata.name", "'a\\nb\\u001b[2J\\u0085\\u202ec'", "\"a?b?[2J??c\": " SUBDOMAIN),
	GOOD("metadata.name", "'a-1.b2.example'"),
	GOOD("metadata.anything", "{'at': ['all']}"),
	GOOD("metadata.uid", "7"),
	GOOD("metadata.namespace", "null"),
	GOOD("status", "[7]"),
	GOOD("status", "null"),
	BAD("spec", NULL, "is missing"),
	BAD("spec", "null", "null: must be a map; leave the field out if it is not needed"),
	BAD("extra", "1", "unknown field"),
	BAD("specs", "1", "unknown field; did you mean spec?"),
	BAD_AT("a/b", "1", "[a/b]", "unknown field"),
	BAD("spec.adresses", "1", "unknown field; did you mean addresses?"),
	BAD("spec.realservers", "1", "unknown field; did you mean realServers?"),
	BAD("spec.vip", "1", "unknown field"),
};

static const struct row address_rows[] = {
	BAD("spec.addresses", NULL, "is missing"),
	BAD("spec.addresses", "[]", "has 0 items: must have at least 1"),
	BAD("spec.addresses", "'10.0.0.1'", "\"10.0.0.1\": must be a list"),
	BAD("spec.addresses[0]", "7", "7: must be a string: put it in quotes"),
	BAD("spec.addresses[0]", "null",
	    "null: must be a string; leave the field out if it is not needed"),
	BAD("spec.addresses[0]", "''", "\"\": must be an IP address"),
	BAD("spec.addresses[0]", "'10.0.0.256'", "\"10.0.0.256\": must be an IP address"),
	BAD("spec.addresses[0]", "'10.0.0.1/24'",
	    "\"10.0.0.1/24\": must be an IP address without a prefix length"),
	BAD("spec.addresses[0]", "'fe80::1%eth0'",
	    "\"fe80::1%eth0\": must be an IP address without a zone"),
	BAD("spec.addresses[0]", "'FD00::1'", "\"FD00::1\": must be written fd00::1"),
	BAD("spec.addresses[0]", "'fd00:0:0::1'", "\"fd00:0:0::1\": must be written fd00::1"),
	BAD("spec.addresses[0]", "'::ffff:10.0.0.1'",
	    "\"::ffff:10.0.0.1\": must be written 10.0.0.1"),
	BAD("spec.addresses[0]", "'127.0.0.1'",
	    "\"127.0.0.1\": is a loopback address: must be the address of a host"),
	BAD("spec.addresses[0]", "'::1'",
	    "\"::1\": is a loopback address: must be the address of a host"),
	BAD("spec.addresses[0]", "'224.0.0.18'",
	    "\"224.0.0.18\": is a multicast address: must be the address of a host"),
	BAD("spec.addresses[0]", "'ff02::12'",
	    "\"ff02::12\": is a multicast address: must be the address of a host"),
	BAD("spec.addresses[0]", "'0.0.0.0'",
	    "\"0.0.0.0\": is the unspecified address: must be the address of a host"),
	BAD("spec.addresses[0]", "'::'",
	    "\"::\": is the unspecified address: must be the address of a host"),
	BAD("spec.addresses[0]", "'255.255.255.255'",
	    "\"255.255.255.255\": is the broadcast address: must be the address of a host"),
	GOOD("spec.addresses[0]", "'fd00:44::120'"),
	GOOD("spec.addresses[0]", "'fe80::120'"),
	GOOD("spec.addresses[1]", "'192.168.44.121'"),
	BAD("spec.addresses[1]", "'192.168.44.120'", "\"192.168.44.120\": is listed twice"),
	BAD("spec.addresses[1]", "'fd00::1'",
	    "\"fd00::1\": must be IPv4 like the first of spec.addresses"),
	BAD_WITH("spec.addresses[0]", "'fd00::1'", "spec.addresses[1]", "'10.0.0.1'",
		 "spec.addresses[1]",
		 "\"10.0.0.1\": must be IPv6 like the first of spec.addresses"),
	BAD("spec.interface", "''", "\"\": " IFNAME),
	BAD("spec.interface", "'eth0/1'", "\"eth0/1\": " IFNAME),
	BAD("spec.interface", "'eth0:1'", "\"eth0:1\": " IFNAME),
	BAD("spec.interface", "'eth 0'", "\"eth 0\": " IFNAME),
	BAD("spec.interface", "'..'", "\"..\": " IFNAME),
	BAD("spec.interface", "'abcdefghijklmnop'", "\"abcdefghijklmnop\": " IFNAME),
	GOOD("spec.interface", "'abcdefghijklmno'"),
	GOOD("spec.interface", "'bond0.100@x'"),
};

static const struct row vrrp_rows[] = {
	BAD("spec.vrrp", "[]", "a list: must be a map"),
	BAD("spec.vrrp.virtualRouterId", "4", "unknown field; did you mean virtualRouterID?"),
	GOOD("spec.vrrp.virtualRouterID", "1"),
	GOOD("spec.vrrp.virtualRouterID", "255"),
	BAD("spec.vrrp.virtualRouterID", "0", "0: must be between 1 and 255"),
	BAD("spec.vrrp.virtualRouterID", "256", "256: must be between 1 and 255"),
	BAD("spec.vrrp.virtualRouterID", "-1", "-1: must be between 1 and 255"),
	BAD("spec.vrrp.virtualRouterID", "4.0", "4.0: must be an integer"),
	BAD("spec.vrrp.virtualRouterID", "'4'", "\"4\": must be an integer, without quotes"),
	BAD("spec.vrrp.virtualRouterID", "true", "true: must be an integer"),
	GOOD("spec.vrrp.version", "2"),
	GOOD("spec.vrrp.version", "3"),
	BAD("spec.vrrp.version", "1", "1: must be between 2 and 3"),
	BAD("spec.vrrp.version", "4", "4: must be between 2 and 3"),
	BAD_WITH("spec.addresses[0]", "'fd00::1'", "spec.vrrp.version", "2", "spec.vrrp.version",
		 "2: must be 3: version 2 is for IPv4 only"),
	GOOD("spec.vrrp.advertisementPeriodMilliseconds", "10"),
	GOOD("spec.vrrp.advertisementPeriodMilliseconds", "40950"),
	BAD("spec.vrrp.advertisementPeriodMilliseconds", "0",
	    "0: must be a multiple of 10 from 10 to 40950 with version 3"),
	BAD("spec.vrrp.advertisementPeriodMilliseconds", "15",
	    "15: must be a multiple of 10 from 10 to 40950 with version 3"),
	BAD("spec.vrrp.advertisementPeriodMilliseconds", "40960",
	    "40960: must be a multiple of 10 from 10 to 40950 with version 3"),
	GOOD_WITH("spec.vrrp.version", "2", "spec.vrrp.advertisementPeriodMilliseconds", "1000"),
	GOOD_WITH("spec.vrrp.version", "2", "spec.vrrp.advertisementPeriodMilliseconds", "255000"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.advertisementPeriodMilliseconds", "100",
		 "spec.vrrp.advertisementPeriodMilliseconds",
		 "100: must be whole seconds from 1000 to 255000 with version 2"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.advertisementPeriodMilliseconds", "1500",
		 "spec.vrrp.advertisementPeriodMilliseconds",
		 "1500: must be whole seconds from 1000 to 255000 with version 2"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.advertisementPeriodMilliseconds", "256000",
		 "spec.vrrp.advertisementPeriodMilliseconds",
		 "256000: must be whole seconds from 1000 to 255000 with version 2"),
	BAD_WITH("spec.vrrp.version", "7", "spec.vrrp.advertisementPeriodMilliseconds", "255000",
		 "spec.vrrp.version", "7: must be between 2 and 3"),
	GOOD("spec.vrrp.preemption", "'Preempt'"),
	GOOD("spec.vrrp.preemption", "'Never'"),
	BAD("spec.vrrp.preemption", "'never'", "\"never\": must be Preempt or Never"),
	BAD("spec.vrrp.preemption", "false", "false: must be a string: put it in quotes"),
	GOOD("spec.vrrp.preemptionDelayMilliseconds", "0"),
	GOOD("spec.vrrp.preemptionDelayMilliseconds", "3600000"),
	BAD("spec.vrrp.preemptionDelayMilliseconds", "3600001",
	    "3600001: must be between 0 and 3600000"),
	GOOD("spec.vrrp.transport", "'Multicast'"),
	GOOD("spec.vrrp.transport", "'Unicast'"),
	BAD("spec.vrrp.transport", "'UDP'", "\"UDP\": must be Multicast or Unicast"),
	GOOD_WITH("spec.vrrp.version", "2", "spec.vrrp.authentication",
		  "{'passwordSecretRef': {'name': 'vipd-vrrp', 'key': 'password'}}"),
	BAD("spec.vrrp.authentication",
	    "{'passwordSecretRef': {'name': 'vipd-vrrp', 'key': 'password'}}",
	    "needs version 2: version 3 has no authentication"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.authentication", "{}",
		 "spec.vrrp.authentication.passwordSecretRef", "is missing"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.authentication",
		 "{'passwordSecretRef': {'name': 'a'}}",
		 "spec.vrrp.authentication.passwordSecretRef.key", "is missing"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.authentication",
		 "{'passwordSecretRef': {'key': 'a'}}",
		 "spec.vrrp.authentication.passwordSecretRef.name", "is missing"),
	BAD_WITH("spec.vrrp.version", "2", "spec.vrrp.authentication",
		 "{'passwordSecretRef': {'name': 'a', 'key': 'b/c'}}",
		 "spec.vrrp.authentication.passwordSecretRef.key",
		 "\"b/c\": must be a key of a Secret: letters, digits, '-', '_' and '.', at most "
		 "253"),
	GOOD("spec.vrrp.priorities", "[]"),
	GOOD("spec.vrrp.priorities", "[{'nodeName': 'a', 'priority': 3}]"),
	GOOD("spec.vrrp.priorities", "[{'nodeName': 'a', 'priority': 254}]"),
	BAD_AT("spec.vrrp.priorities", "[{'nodeName': 'a', 'priority': 255}]",
	       "spec.vrrp.priorities[0].priority", "255: must be between 3 and 254"),
	BAD_AT("spec.vrrp.priorities", "[{'nodeName': 'a', 'priority': 2}]",
	       "spec.vrrp.priorities[0].priority", "2: must be between 3 and 254"),
	BAD_AT("spec.vrrp.priorities", "[{'nodeName': 'a'}]", "spec.vrrp.priorities[0].priority",
	       "is missing"),
	BAD_AT("spec.vrrp.priorities", "[{'priority': 3}]", "spec.vrrp.priorities[0].nodeName",
	       "is missing"),
	BAD_AT("spec.vrrp.priorities", "[{'node': 'a', 'nodeName': 'b', 'priority': 3}]",
	       "spec.vrrp.priorities[0].node", "unknown field"),
	BAD_AT("spec.vrrp.priorities",
	       "[{'nodeName': 'a', 'priority': 9}, {'nodeName': 'a', 'priority': 8}]",
	       "spec.vrrp.priorities[1].nodeName", "\"a\": is listed twice"),
	BAD_AT("spec.vrrp.priorities", "[7]", "spec.vrrp.priorities[0]", "7: must be a map"),
};

static const struct row server_rows[] = {
	GOOD("spec.realServers", "[{'address': '192.168.44.51'}]"),
	GOOD("spec.realServers", "[{'address': '192.168.44.51', 'weight': 0}]"),
	GOOD("spec.realServers", "[{'address': '192.168.44.51', 'weight': 65535}]"),
	BAD("spec.realServers", "[]", "has 0 items: must have at least 1"),
	BAD_AT("spec.realServers", "[{}]", "spec.realServers[0].address", "is missing"),
	BAD_AT("spec.realServers", "[{'address': '192.168.44.51', 'weight': 65536}]",
	       "spec.realServers[0].weight", "65536: must be between 0 and 65535"),
	BAD_AT("spec.realServers", "[{'address': '192.168.44.51', 'port': 1}]",
	       "spec.realServers[0].port", "unknown field"),
	BAD_AT("spec.realServers", "[{'address': 'fd00::1'}]", "spec.realServers[0].address",
	       "\"fd00::1\": must be IPv4 like the first of spec.addresses"),
	BAD_WITH("spec.addresses[0]", "'fd00::1'", "spec.realServers", "[{'address': 'fe80::1'}]",
		 "spec.realServers[0].address", "\"fe80::1\": must not be link-local"),
	BAD_AT("spec.realServers", "[{'address': '192.168.44.120'}]", "spec.realServers[0].address",
	       "\"192.168.44.120\": is one of spec.addresses: must be the node's own address"),
	BAD_AT("spec.realServers", "[{'address': '10.0.0.1'}, {'address': '10.0.0.1'}]",
	       "spec.realServers[1].address", "\"10.0.0.1\": is listed twice"),
};

static const struct row port_rows[] = {
	BAD("spec.ports", NULL, "is missing"),
	BAD("spec.ports", "[]", "has 0 items: must have at least 1"),
	BAD("spec.ports[0]", "22", "22: must be a map"),
	BAD_AT("spec.ports[0]", "{}", "spec.ports[0].port", "is missing"),
	GOOD("spec.ports[0].port", "1"),
	GOOD("spec.ports[0].port", "65535"),
	BAD("spec.ports[0].port", "0", "0: must be between 1 and 65535"),
	BAD("spec.ports[0].port", "70000", "70000: must be between 1 and 65535"),
	BAD("spec.ports[0].prot", "'TCP'", "unknown field; did you mean port?"),
	GOOD("spec.ports[0].name", "'ssh-1'"),
	BAD("spec.ports[0].name", "'SSH'", "\"SSH\": " LABEL),
	BAD("spec.ports[0].name", "''", "\"\": " LABEL),
	GOOD("spec.ports[0].protocol", "'TCP'"),
	BAD("spec.ports[0].protocol", "'tcp'", "\"tcp\": must be TCP or UDP"),
	BAD("spec.ports[0].protocol", "'SCTP'", "\"SCTP\": must be TCP or UDP"),
	BAD("spec.ports[0].scheduler", "'random'",
	    "\"random\": must be mh, rr, wrr, lc, wlc, sh, dh, sed, nq, lblc, lblcr, fo or ovf"),
	GOOD("spec.ports[0].trafficDistribution", "'PreferSameNode'"),
	BAD("spec.ports[0].trafficDistribution", "'PreferClose'",
	    "\"PreferClose\": must be PreferSameNode"),
	GOOD("spec.ports[0].persistenceSeconds", "0"),
	GOOD("spec.ports[0].persistenceSeconds", "86400"),
	BAD("spec.ports[0].persistenceSeconds", "86401", "86401: must be between 0 and 86400"),
	BAD_AT("spec.ports[1]", "{'port': 22}", "spec.ports[1].port",
	       "22: is listed twice with protocol TCP"),
	GOOD("spec.ports[1]",
	     "{'port': 22, 'protocol': 'UDP', 'healthCheck': {'tcpSocket': {'port': 22}}}"),
	BAD_WITH("spec.ports[0].name", "'a'", "spec.ports[1]", "{'port': 23, 'name': 'a'}",
		 "spec.ports[1].name", "\"a\": is the name of another port too"),
	GOOD("spec.ports[1]", "{'port': 23}"),
};

#define CHECK "spec.ports[0].healthCheck"
static const struct row check_rows[] = {
	GOOD(CHECK, "{}"),
	BAD(CHECK, "[]", "a list: must be a map"),
	BAD(CHECK ".exec", "{}", "unknown field"),
	BAD(CHECK ".httpget", "{}", "unknown field; did you mean httpGet?"),
	GOOD(CHECK ".tcpSocket", "{}"),
	GOOD(CHECK ".tcpSocket.port", "1"),
	GOOD(CHECK ".tcpSocket.port", "65535"),
	BAD(CHECK ".tcpSocket.port", "0", "0: must be between 1 and 65535"),
	BAD(CHECK ".tcpSocket.port", "65536", "65536: must be between 1 and 65535"),
	BAD(CHECK ".tcpSocket.host", "'a'", "unknown field; did you mean port?"),
	BAD_AT(CHECK, "{'tcpSocket': {}, 'httpGet': {}}", CHECK,
	       "must have only one of tcpSocket and httpGet"),
	GOOD(CHECK ".httpGet", "{}"),
	GOOD(CHECK ".httpGet.path", "'/healthz?full=1'"),
	BAD(CHECK ".httpGet.path", "'healthz'",
	    "\"healthz\": must begin with '/' and have no spaces or control characters, at most "
	    "1024"),
	BAD(CHECK ".httpGet.path", "'/a b'",
	    "\"/a b\": must begin with '/' and have no spaces or control characters, at most 1024"),
	BAD(CHECK ".httpGet.path", "'/a\\r\\nX: y'",
	    "\"/a??X: y\": must begin with '/' and have no spaces or control characters, at most "
	    "1024"),
	GOOD(CHECK ".httpGet.port", "8080"),
	BAD(CHECK ".httpGet.port", "'http'", "\"http\": must be an integer, without quotes"),
	GOOD(CHECK ".httpGet.scheme", "'HTTP'"),
	GOOD(CHECK ".httpGet.scheme", "'HTTPS'"),
	BAD(CHECK ".httpGet.scheme", "'https'", "\"https\": must be HTTP or HTTPS"),
	GOOD(CHECK ".httpGet.host", "'www.example.org:80'"),
	GOOD(CHECK ".httpGet.host", "'[fd00::1]:80'"),
	BAD(CHECK ".httpGet.host", "'a\\r\\nX: y'",
	    "\"a??X: y\": must be a host name or an IP address, with :port if needed"),
	BAD(CHECK ".httpGet.host", "''",
	    "\"\": must be a host name or an IP address, with :port if needed"),
	GOOD(CHECK ".httpGet.httpHeaders", "[]"),
	GOOD(CHECK ".httpGet.httpHeaders", "[{'name': 'X-Probe', 'value': ''}]"),
	GOOD(CHECK ".httpGet.httpHeaders", "[{'name': 'X-Probe', 'value': 'a\\tb \\u00e4'}]"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'name': 'X', 'value': 'a\\r\\nEvil: 1'}]",
	       CHECK ".httpGet.httpHeaders[0].value",
	       "\"a??Evil: 1\": must have no line break or other control character"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'name': 'X', 'value': 'a\\nb'}]",
	       CHECK ".httpGet.httpHeaders[0].value",
	       "\"a?b\": must have no line break or other control character"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'name': 'X: y', 'value': 'a'}]",
	       CHECK ".httpGet.httpHeaders[0].name",
	       "\"X: y\": must be the name of an HTTP header"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'name': 'hOST', 'value': 'a'}]",
	       CHECK ".httpGet.httpHeaders[0].name", "\"hOST\": must be given as httpGet.host"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'name': 'X'}]",
	       CHECK ".httpGet.httpHeaders[0].value", "is missing"),
	BAD_AT(CHECK ".httpGet.httpHeaders", "[{'value': 'X'}]",
	       CHECK ".httpGet.httpHeaders[0].name", "is missing"),
	GOOD(CHECK ".periodMilliseconds", "100"),
	GOOD(CHECK ".periodMilliseconds", "3600000"),
	BAD(CHECK ".periodMilliseconds", "99", "99: must be between 100 and 3600000"),
	BAD(CHECK ".periodMilliseconds", "3600001", "3600001: must be between 100 and 3600000"),
	GOOD(CHECK ".timeoutMilliseconds", "10"),
	GOOD(CHECK ".timeoutMilliseconds", "60000"),
	BAD(CHECK ".timeoutMilliseconds", "9", "9: must be between 10 and 60000"),
	BAD(CHECK ".timeoutMilliseconds", "60001", "60001: must be between 10 and 60000"),
	GOOD(CHECK ".failureThreshold", "1"),
	GOOD(CHECK ".failureThreshold", "100"),
	BAD(CHECK ".failureThreshold", "0", "0: must be between 1 and 100"),
	BAD(CHECK ".failureThreshold", "101", "101: must be between 1 and 100"),
	GOOD(CHECK ".successThreshold", "1"),
	GOOD(CHECK ".successThreshold", "100"),
	BAD(CHECK ".successThreshold", "0", "0: must be between 1 and 100"),
	BAD(CHECK ".successThreshold", "101", "101: must be between 1 and 100"),
	/* UDP: something else must vouch for it */
	BAD_AT("spec.ports[0].protocol", "'UDP'", CHECK,
	       "a UDP port needs httpGet or tcpSocket.port"),
	BAD_WITH(CHECK, "{'tcpSocket': {}}", "spec.ports[0].protocol", "'UDP'", CHECK,
		 "a UDP port needs httpGet or tcpSocket.port"),
	GOOD_WITH(CHECK, "{'tcpSocket': {'port': 53}}", "spec.ports[0].protocol", "'UDP'"),
	GOOD_WITH(CHECK, "{'httpGet': {}}", "spec.ports[0].protocol", "'UDP'"),
};

static const struct row selector_rows[] = {
	GOOD("spec.nodeSelector", "{}"),
	BAD("spec.nodeSelector", "'all'", "\"all\": must be a map"),
	BAD("spec.nodeSelector.role", "'edge'", "unknown field"),
	GOOD("spec.nodeSelector.matchLabels", "{'kubernetes.io/os': 'linux', 'edge': ''}"),
	BAD_AT("spec.nodeSelector.matchLabels", "{'a': true}", "spec.nodeSelector.matchLabels.a",
	       "true: must be a string: put it in quotes"),
	BAD_AT("spec.nodeSelector.matchLabels", "{'a': 'b c'}", "spec.nodeSelector.matchLabels.a",
	       "\"b c\": must be a label value: letters, digits, '-', '_' and '.', at most 63"),
	BAD_AT("spec.nodeSelector.matchLabels", "{'A/b': 'c'}",
	       "spec.nodeSelector.matchLabels[A/b]",
	       "must be a label key, like kubernetes.io/hostname"),
	BAD_AT("spec.nodeSelector.matchLabels", "{'a/b/c': 'c'}",
	       "spec.nodeSelector.matchLabels[a/b/c]",
	       "must be a label key, like kubernetes.io/hostname"),
	GOOD("spec.nodeSelector.matchExpressions",
	     "[{'key': 'a', 'operator': 'In', 'values': ['x', 'y']},"
	     " {'key': 'b', 'operator': 'NotIn', 'values': ['']},"
	     " {'key': 'c', 'operator': 'Exists'}, {'key': 'd', 'operator': 'DoesNotExist',"
	     " 'values': []}]"),
	BAD_AT("spec.nodeSelector.matchExpressions", "[{'operator': 'Exists'}]",
	       "spec.nodeSelector.matchExpressions[0].key", "is missing"),
	BAD_AT("spec.nodeSelector.matchExpressions", "[{'key': 'a'}]",
	       "spec.nodeSelector.matchExpressions[0].operator", "is missing"),
	BAD_AT("spec.nodeSelector.matchExpressions", "[{'key': 'a', 'operator': 'Gt'}]",
	       "spec.nodeSelector.matchExpressions[0].operator",
	       "\"Gt\": must be In, NotIn, Exists or DoesNotExist"),
	BAD_AT("spec.nodeSelector.matchExpressions", "[{'key': 'a', 'operator': 'In'}]",
	       "spec.nodeSelector.matchExpressions[0].values", "is missing"),
	BAD_AT("spec.nodeSelector.matchExpressions",
	       "[{'key': 'a', 'operator': 'In', 'values': []}]",
	       "spec.nodeSelector.matchExpressions[0].values", "has 0 items: must have at least 1"),
	BAD_AT("spec.nodeSelector.matchExpressions",
	       "[{'key': 'a', 'operator': 'Exists', 'values': ['x']}]",
	       "spec.nodeSelector.matchExpressions[0].values",
	       "must be left out with this operator"),
};

static void check_rows_of(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}

#define TABLE_TEST(name, rows)                                       \
	static void name(void **state)                               \
	{                                                            \
		(void)state;                                         \
		check_rows_of(rows, sizeof(rows) / sizeof(rows[0])); \
	}

TABLE_TEST(test_head, head_rows)
TABLE_TEST(test_addresses, address_rows)
TABLE_TEST(test_vrrp, vrrp_rows)
TABLE_TEST(test_real_servers, server_rows)
TABLE_TEST(test_ports, port_rows)
TABLE_TEST(test_health_checks, check_rows)
TABLE_TEST(test_node_selector, selector_rows)

static void test_every_scheduler(void **state)
{
	static const char *const names[] = {"mh",  "rr", "wrr",  "lc",    "wlc", "sh", "dh",
					    "sed", "nq", "lblc", "lblcr", "fo",  "ovf"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *object = minimal_vip();
		struct api_vip *v = NULL;
		char quoted[16];

		(void)snprintf(quoted, sizeof(quoted), "'%s'", names[i]);
		json_put(object, "spec.ports[0].scheduler", quoted);
		assert_int_equal(api_vip_decode(object, &v, NULL), 0);
		assert_int_equal(v->ports[0].scheduler, i);
		assert_string_equal(api_scheduler_name(v->ports[0].scheduler), names[i]);
		api_vip_free(v);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),          cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_vrrp),          cmocka_unit_test(test_real_servers),
		cmocka_unit_test(test_ports),         cmocka_unit_test(test_health_checks),
		cmocka_unit_test(test_node_selector), cmocka_unit_test(test_every_scheduler),
	};

	return cmocka_run_group_tests_name("api: VirtualIP, field by field", tests, NULL, NULL);
}
