/*
 * Stands where many slurmd's would stand at once, in one process, and asks slurmctld by Slurm's own code:
 *
 *   crowd enrol FOLDER NODES                  c1, c2, ... ask at the same moment, each until it has its certificate
 *   crowd renew FOLDER NODES CLIENTS SECONDS  so many clients, under these names, renew and come again when refused
 *   crowd ping SECONDS                        asks what `scontrol ping` asks, ten times a second
 *   crowd certgen ROUNDS                      keygen and certgen, as a user command runs them
 *
 * FOLDER has NAME.token, NAME.csr and NAME.key; a certificate lands in NAME.crt. One line per answer goes to stdout:
 * what it was (0 is good), how long it took in microseconds, and a third number: how often slurmctld had not answered in
 * time (enrol), or the CPU time of the scripts in microseconds (certgen). A client of `renew` comes first at some moment
 * within ten seconds, as certificates of different ages have it, and again ten seconds after each refusal. At the end each
 * question that is still open gets a line too, with 1 as the third number.
 *
 * As in probe.c the declarations are ours, and symbols of libslurmfull.so are taken over: the node's scripts, whose
 * answers lie there already so that the time is slurmctld's, and sleep(), by which Slurm waits before it asks again.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct log_options {
	uint32_t words[5];
};

extern void slurm_init(const char *conf);
extern int log_alter(struct log_options options, int facility, char *file);
extern int slurm_ping(int controller);
extern char *xstrdup(const char *text);
extern int certmgr_get_cert_from_ctld(char *name, bool retry);
extern int certgen_g_init(void);
extern int certgen_g_self_signed(char **cert, char **key);

enum daemon { NONE = 0, SACKD = 1 << 6 };

/* Seconds; MessageTimeout in slurm.conf. */
enum { PERIOD = 10 };

uint32_t slurm_daemon = NONE;

struct node {
	char name[32];
	char *token, *csr, *key;
};

struct answer {
	int error;
	long wait;
	long more;
};

static const char *folder;
static struct node *nodes;
static int clients, node_count;
static bool renews;
static double end;
/* When each client's open question was asked; 0 when it has none. */
static double *since;
static pthread_barrier_t together;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static __thread struct node *self;
static __thread long asked_again;

static void fail(const char *what)
{
	fprintf(stderr, "crowd: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void rest(double seconds)
{
	struct timespec time = { (time_t) seconds, (long) ((seconds - (time_t) seconds) * 1e9) };

	if (seconds > 0)
		nanosleep(&time, NULL);
}

static void tell(struct answer answer)
{
	pthread_mutex_lock(&turn);
	printf("%d %ld %ld\n", answer.error, answer.wait, answer.more);
	pthread_mutex_unlock(&turn);
}

static char *read_file(const char *name, const char *end_of_name)
{
	static char text[65536];
	char path[4096];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, end_of_name);
	file = fopen(path, "r");
	if (!file)
		fail(path);
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = 0;
	return strdup(text);
}

unsigned int sleep(unsigned int seconds)
{
	asked_again++;
	rest(seconds);
	return 0;
}

bool conn_g_own_cert_loaded(void)
{
	return renews;
}

char *certmgr_g_get_node_token(char *name)
{
	(void) name;
	return xstrdup(self->token);
}

char *certmgr_g_generate_csr(char *name)
{
	(void) name;
	return xstrdup(self->csr);
}

char *certmgr_g_get_node_cert_key(char *name)
{
	(void) name;
	return xstrdup(self->key);
}

int conn_g_load_own_cert(char *cert, uint32_t cert_length, char *key, uint32_t key_length)
{
	char path[4096];
	FILE *file;

	(void) key;
	(void) key_length;
	snprintf(path, sizeof(path), "%s/%s.crt", folder, self->name);
	file = fopen(path, "w");
	if (!file || fwrite(cert, 1, cert_length, file) != cert_length || fclose(file))
		fail(path);
	return 0;
}

static struct answer ask(bool retry)
{
	double begun = now();
	struct answer answer = { 0, 0, 0 };

	asked_again = 0;
	answer.error = certmgr_get_cert_from_ctld(self->name, retry) ? 1 : 0;
	answer.wait = (now() - begun) * 1e6;
	answer.more = asked_again;
	return answer;
}

static void *enrols(void *node)
{
	self = node;
	pthread_barrier_wait(&together);
	tell(ask(true));
	return NULL;
}

static void *comes_again(void *number)
{
	long client = (long) number;

	self = nodes + client % node_count;
	rest((double) PERIOD * client / clients);
	while (now() < end) {
		struct answer answer;

		since[client] = now();
		answer = ask(false);
		since[client] = 0;
		tell(answer);
		rest(PERIOD);
	}
	return NULL;
}

static void read_nodes(void)
{
	nodes = calloc(node_count, sizeof(*nodes));
	for (int number = 0; number < node_count; number++) {
		struct node *node = nodes + number;

		snprintf(node->name, sizeof(node->name), "c%d", number + 1);
		node->token = read_file(node->name, "token");
		node->csr = read_file(node->name, "csr");
		node->key = read_file(node->name, "key");
	}
}

static void crowd(void)
{
	pthread_t *threads = calloc(clients, sizeof(*threads));
	pthread_attr_t small;

	since = calloc(clients, sizeof(*since));
	read_nodes();
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	pthread_barrier_init(&together, NULL, clients);
	for (long number = 0; number < clients; number++) {
		int error = renews ? pthread_create(threads + number, &small, comes_again, (void *) number)
				   : pthread_create(threads + number, &small, enrols, nodes + number);

		if (error)
			fail("no thread");
	}
	if (renews)
		rest(end - now());
	for (int number = 0; number < clients; number++) {
		double asked = since[number];

		if (!renews)
			pthread_join(threads[number], NULL);
		else if (asked > 0)
			tell((struct answer) { 1, (now() - asked) * 1e6, 1 });
	}
}

static void ping(void)
{
	while (now() < end) {
		double begun = now();
		struct answer answer = { 0, 0, 0 };

		answer.error = slurm_ping(0) ? 1 : 0;
		answer.wait = (now() - begun) * 1e6;
		tell(answer);
		rest(0.1 - (now() - begun));
	}
}

static long cpu_of_scripts(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void certgen(int rounds)
{
	if (certgen_g_init())
		fail("certgen_g_init");
	while (rounds--) {
		char *cert = NULL, *key = NULL;
		long before = cpu_of_scripts();
		double begun = now();
		struct answer answer = { 0, 0, 0 };

		answer.error = certgen_g_self_signed(&cert, &key) || !cert || !key;
		answer.wait = (now() - begun) * 1e6;
		answer.more = cpu_of_scripts() - before;
		tell(answer);
	}
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	/* Errors only. */
	struct log_options quiet = { { 2, 2, 2, 2, 0 } };

	setenv("SLURM_CONFIG_FETCH", "1", 1);
	if (strcmp(verb, "certgen"))
		slurm_daemon = SACKD;
	slurm_init(NULL);
	log_alter(quiet, 0, NULL);
	if (!strcmp(verb, "enrol") && argc == 4) {
		folder = argv[2];
		node_count = clients = atoi(argv[3]);
		crowd();
	} else if (!strcmp(verb, "renew") && argc == 6) {
		folder = argv[2];
		node_count = atoi(argv[3]);
		clients = atoi(argv[4]);
		end = now() + atoi(argv[5]);
		renews = true;
		/* In truth they are on other machines: slurmctld goes before them. */
		if (nice(10) < 0)
			fail("nice");
		crowd();
	} else if (!strcmp(verb, "ping") && argc == 3) {
		end = now() + atoi(argv[2]);
		ping();
	} else if (!strcmp(verb, "certgen") && argc == 3) {
		certgen(atoi(argv[2]));
	} else {
		return 64;
	}
	fflush(stdout);
	/* Not exit(): threads that still ask are to end with us. */
	_Exit(0);
}
