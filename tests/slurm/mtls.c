/*
 * Preloaded into slurmctld: without TLS no connection ever has a client certificate, so a request without a token is
 * taken for one that came over mTLS, as renewals do. Everything before and after stays Slurm's own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

typedef char *sign_csr(char *csr, bool is_client_auth, char *token, char *name);

char *certmgr_g_sign_csr(char *csr, bool is_client_auth, char *token, char *name)
{
	sign_csr *slurms = (sign_csr *) dlsym(RTLD_NEXT, "certmgr_g_sign_csr");

	return slurms ? slurms(csr, is_client_auth || !token, token, name) : NULL;
}
