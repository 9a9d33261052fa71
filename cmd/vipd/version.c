/* vipd version: of the program, its libraries, and what the kernel offers. */
#include <curl/curl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netlink/version.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <yaml.h>

#include "cmd.h"
#include "dl/dl.h"
#include "ipvs/ipvs.h"
#include "nft/nft.h"

#ifndef VIPD_VERSION
#define VIPD_VERSION "unknown"
#endif
#ifndef VIPD_REVISION
#define VIPD_REVISION "unknown"
#endif

const char *cmd_version_text(void)
{
	return VIPD_VERSION;
}

const char *cmd_revision_text(void)
{
	return VIPD_REVISION;
}

static void print_kernel(void)
{
	struct utsname uts;
	struct verr err = {0};
	AUTO(ipvs_close_p) struct ipvs *ipvs = NULL;
	AUTO(nft_close_p) struct nft *nft = NULL;
	AUTO(free_p) struct plan_elem *elems = NULL;
	size_t n_elems;
	struct ipvs_info info;

	printf("kernel     %s %s\n", uname(&uts) == 0 ? uts.sysname : "?", uts.release);
	if (ipvs_open(&ipvs, &err) == 0 && ipvs_info(ipvs, &info, &err) == 0)
		printf("  ipvs     %u.%u.%u, connection table of %u\n", info.version >> 16 & 0xff,
		       info.version >> 8 & 0xff, info.version & 0xff, info.conn_tab_size);
	else
		printf("  ipvs     no (%s)\n", err.msg);
	err = (struct verr){0};
	/* the socket is nfnetlink's, which may be there without nf_tables */
	if (nft_open(&nft, &err) == 0 && nft_dump(nft, &elems, &n_elems, &err) == 0)
		printf("  nftables yes\n");
	else
		printf("  nftables no (%s)\n", err.msg);
}

int cmd_version(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
		printf("Usage: vipd version\n\n"
		       "Prints the version, the libraries in use and the kernel features found.\n");
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "vipd version: unexpected argument \"%s\"\n", argv[1]);
		return CMD_USAGE;
	}
	printf("vipd       %s (%s)\n", VIPD_VERSION, VIPD_REVISION);
	printf("libraries  libcurl %s, jansson %s, libyaml %s, libnl %s, libmicrohttpd %s\n",
	       dl_curl(NULL) == 0 ? curl_version_info(CURLVERSION_NOW)->version : "(none)",
	       jansson_version_str(), yaml_get_version_string(), LIBNL_VERSION,
	       dl_mhd(NULL) == 0 ? MHD_get_version() : "(none)");
	print_kernel();
	return 0;
}
