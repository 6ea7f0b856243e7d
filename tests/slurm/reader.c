/*
 * What Slurm itself reads in a file of slurm.conf's form.
 *
 *   reader FILE KEY...
 *
 * The first line says "taken" or "refused"; then each KEY that has a value with it, and each line of a node, a partition
 * and the like, both in hexadecimal digits. Names in Include count from the folder of $SLURM_CONF, as in every daemon.
 *
 * Slurm ships no header for this either (probe.c), so the declarations are ours, of symbols that libslurmfull.so exports.
 * Versions differ in how long an entry of the table of keys is. The library ends at an entry without a name, so a table
 * with room behind each entry ends for it after the first one; the longest distance at which it sees the second is right.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*handler)(void **data, int type, const char *key, const char *value, const char *line, char **leftover);

/* The beginning of an entry. */
struct entry {
	const char *key;
	int type;
	handler handler;
};

enum type { STRING = 1, ARRAY = 7 };

enum { LONGEST = 128, SHORTEST = 40, KEYS = 64 };

extern void *s_p_hashtbl_create(const void *entries);
extern int s_p_parse_pair(void *table, const char *key, const char *value);
extern int s_p_parse_file(void *table, uint32_t *hash, char *file, uint32_t flags, char *last_ancestor);
extern int s_p_get_string(char **value, const char *key, void *table);
extern int s_p_get_array(void ***values, int *count, const char *key, void *table);

static const char *const describing[] = { "SlurmctldHost", "NodeName", "NodeSet", "PartitionName", "DownNodes" };

enum { DESCRIBING = sizeof(describing) / sizeof(describing[0]) };

/* Takes the rest of the line too. */
static int whole_line(void **data, int type, const char *key, const char *value, const char *line, char **leftover)
{
	char *kept = malloc(strlen(value) + strlen(line) + 1);

	(void) type;
	(void) key;
	if (!kept)
		return -1;
	strcpy(kept, value);
	strcat(kept, line);
	*data = kept;
	*leftover = (char *) line + strlen(line);
	return 1;
}

static void *table_of(char **keys, int count, size_t distance)
{
	char *entries = calloc(DESCRIBING + count + 1, distance);
	int next = 0;

	if (!entries)
		exit(1);
	for (int i = 0; i < count; i++) {
		struct entry entry = { keys[i], STRING, NULL };
		memcpy(entries + distance * next++, &entry, sizeof(entry));
	}
	for (int i = 0; i < DESCRIBING; i++) {
		struct entry entry = { describing[i], ARRAY, whole_line };
		memcpy(entries + distance * next++, &entry, sizeof(entry));
	}
	return s_p_hashtbl_create(entries);
}

static size_t find_distance(void)
{
	static char *two[] = { "First", "Second" };
	size_t distance = LONGEST;

	while (distance >= SHORTEST && !s_p_parse_pair(table_of(two, 2, distance), "Second", "x"))
		distance -= sizeof(void *);
	if (distance < SHORTEST) {
		fprintf(stderr, "reader: this Slurm has another kind of table\n");
		exit(1);
	}
	return distance;
}

static void show(const char *key, const char *value)
{
	printf("%s ", key);
	for (const unsigned char *byte = (const unsigned char *) value; *byte; byte++)
		printf("%02x", *byte);
	printf("\n");
}

int main(int argc, char **argv)
{
	uint32_t hash = 0;
	void *table;
	char *value;
	void **lines;
	int count;

	if (argc < 2 || argc > KEYS)
		return 64;
	table = table_of(argv + 2, argc - 2, find_distance());
	printf("%s\n", s_p_parse_file(table, &hash, argv[1], 0, NULL) ? "refused" : "taken");
	for (int i = 2; i < argc; i++)
		if (s_p_get_string(&value, argv[i], table))
			show(argv[i], value);
	for (int i = 0; i < DESCRIBING; i++)
		if (s_p_get_array(&lines, &count, describing[i], table))
			for (int nth = 0; nth < count; nth++)
				show(describing[i], lines[nth]);
	return 0;
}
