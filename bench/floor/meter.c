/* Starts a program again and again, and says of each run what it cost. A C program of a few pages, so that neither its own
 * memory nor its fork counts: the peak memory of a process is at least that of whoever it was started from.
 *
 *   meter [PROGRAM ARGUMENTS... --]...      for each line on stdin, which is 0 for the first of them and so on, one run, and
 *   for each run one line on stdout:        wall_ns cpu_us peak_kib page_faults wait_status bytes_of_output
 *
 * A run lasts from before the start until its output is at its end and the process is reaped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long micros(struct timeval time) { return time.tv_sec * 1000000L + time.tv_usec; }

int main(int argc, char **argv)
{
    char line[64], output[65536], **programs[64];
    int count = 0;
    char **begin_of_one = argv + 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        argv[i] = NULL;
        if (count == 64)
            return 64;
        programs[count++] = begin_of_one;
        begin_of_one = argv + i + 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        struct timespec begin, end;
        struct rusage used;
        posix_spawn_file_actions_t actions;
        int pipes[2], status;
        long bytes = 0;
        ssize_t got;
        pid_t child;
        int which = atoi(line);
        if (which < 0 || which >= count)
            return 64;
        if (pipe2(pipes, O_CLOEXEC) || posix_spawn_file_actions_init(&actions) ||
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) ||
            posix_spawn_file_actions_adddup2(&actions, pipes[1], 1))
            return 71;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        if (posix_spawn(&child, programs[which][0], &actions, NULL, programs[which], environ))
            return 71;
        close(pipes[1]);
        while ((got = read(pipes[0], output, sizeof output)) > 0 || (got < 0 && errno == EINTR))
            bytes += got > 0 ? got : 0;
        while (wait4(child, &status, 0, &used) < 0)
            if (errno != EINTR)
                return 71;
        clock_gettime(CLOCK_MONOTONIC, &end);
        close(pipes[0]);
        posix_spawn_file_actions_destroy(&actions);
        printf("%ld %ld %ld %ld %d %ld\n",
               (end.tv_sec - begin.tv_sec) * 1000000000L + (end.tv_nsec - begin.tv_nsec),
               micros(used.ru_utime) + micros(used.ru_stime), used.ru_maxrss, used.ru_minflt, status, bytes);
        fflush(stdout);
    }
    return 0;
}
