/*
 * Stands where slurmd, sackd or a client command would stand, and calls Slurm's own code from there.
 *
 *   probe enrol     NAME FOLDER  a daemon's first request: token, request, RPC, key. Tried once.
 *   probe persist   NAME FOLDER  the same, repeated while slurmctld is out of reach, as slurmd does
 *   probe renew     NAME FOLDER  a daemon that holds a certificate already: it sends no token
 *   probe client    FOLDER       keygen and certgen, as every user command runs them
 *
 * What Slurm would load into its TLS library lands in FOLDER/cert.pem and FOLDER/key.pem. Slurm's log goes to stderr.
 *
 * Slurm ships no header for any of this, so the declarations below are ours, of symbols that libslurmfull.so
 * exports. Three of its symbols are taken over by the definitions here (link with -rdynamic): the variable that
 * says which daemon a process is, and two functions of the TLS layer. Without TLS Slurm answers "a certificate is
 * loaded" always, and then sends no token; and it drops the pair at the end.
 *
 * The library has to come before libc in the order of symbols (it has its own error()), so it is linked, not
 * loaded later.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A flag, the levels for stderr, syslog and file, more flags; a command's default is to show little. */
struct log_options {
	uint32_t words[5];
};

extern void slurm_init(const char *conf);
extern int log_alter(struct log_options options, int facility, char *file);
extern int certmgr_g_init(void);
extern int certmgr_get_cert_from_ctld(char *name, bool retry);
extern int certgen_g_init(void);
extern int certgen_g_self_signed(char **cert, char **key);

/* One bit per daemon, as Slurm numbers them. */
enum daemon { NONE = 0, SLURMD = 1 << 4, SACKD = 1 << 6 };

/* In the library a weak symbol. */
uint32_t slurm_daemon = NONE;

static bool holds_certificate;
static const char *folder;

static void fail(const char *what)
{
	fprintf(stderr, "probe: %s\n", what);
	exit(1);
}

static void keep(const char *file, const char *text, size_t length)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	out = fopen(path, "w");
	if (!out || fwrite(text, 1, length, out) != length || fclose(out))
		fail(path);
}

bool conn_g_own_cert_loaded(void)
{
	return holds_certificate;
}

int conn_g_load_own_cert(char *cert, uint32_t cert_length, char *key, uint32_t key_length)
{
	/* Without texts Slurm means the files of a static pair. There is none. */
	if (cert && key) {
		keep("cert.pem", cert, cert_length);
		keep("key.pem", key, key_length);
	}
	return 0;
}

/* With the lines of DebugFlags=AuditTLS, which are of the level "verbose"; this is one more. */
static void start(void)
{
	struct log_options debug = { { 5, 5, 5, 5, 0 } };

	slurm_init(NULL);
	log_alter(debug, 0, NULL);
}

static int from_slurmctld(char *name, bool persist)
{
	start();
	if (certmgr_g_init())
		fail("certmgr_g_init");
	return certmgr_get_cert_from_ctld(name, persist) ? 1 : 0;
}

static int self_signed(void)
{
	char *cert = NULL, *key = NULL;

	start();
	if (certgen_g_init() || certgen_g_self_signed(&cert, &key) || !cert || !key)
		return 1;
	keep("cert.pem", cert, strlen(cert));
	keep("key.pem", key, strlen(key));
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc < 3)
		return 64;
	folder = argv[argc - 1];
	/* Otherwise auth/slurm would open the socket of the daemon that we stand for. */
	setenv("SLURM_CONFIG_FETCH", "1", 1);
	if (!strcmp(verb, "client"))
		return self_signed();
	slurm_daemon = getenv("PROBE_IS_SACKD") ? SACKD : SLURMD;
	holds_certificate = !strcmp(verb, "renew");
	return from_slurmctld(argv[2], !strcmp(verb, "persist"));
}
