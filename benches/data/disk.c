/* What the disk alone takes for a merge: reads all files whose names begin with the first argument, in the current
 * directory, with sixteen threads, writes the file of the second argument with as many bytes as the third says, and then
 * removes what it read with as many threads. Computes nothing, locks nothing, proves nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 16, MOST = 100000, PIECE = 1 << 20 };

static char *names[MOST];
static int count, turn, failed;

static void *read_all(void *unused)
{
    char *piece = malloc(PIECE);
    for (int i; (i = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED)) < count;) {
        int file = open(names[i], O_RDONLY);
        ssize_t got;
        while ((got = read(file, piece, PIECE)) > 0)
            ;
        if (got < 0)
            failed = 1;
        close(file);
    }
    free(piece);
    return unused;
}

static void *remove_all(void *unused)
{
    for (int i; (i = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED)) < count;)
        if (unlink(names[i]))
            failed = 1;
    return unused;
}

static void by_threads(void *(*work)(void *))
{
    pthread_t threads[THREADS];
    turn = 0;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL))
            exit(3);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* What was read is safe on disk before anything is removed. */
static void write_all(const char *name, long size)
{
    char *piece = calloc(1, PIECE);
    int file = open(".disk.new", O_CREAT | O_TRUNC | O_WRONLY, 0644);
    for (ssize_t put; size > 0; size -= put)
        if ((put = write(file, piece, size < PIECE ? size : PIECE)) <= 0)
            exit(3);
    int here = open(".", O_RDONLY);
    if (fsync(file) || close(file) || rename(".disk.new", name) || fsync(here) || close(here))
        exit(3);
    free(piece);
}

int main(int argc, char **argv)
{
    DIR *here = opendir(".");
    if (argc != 4 || !here)
        return 2;
    for (struct dirent *entry; (entry = readdir(here)) && count < MOST;)
        if (!strncmp(entry->d_name, argv[1], strlen(argv[1])))
            names[count++] = strdup(entry->d_name);
    by_threads(read_all);
    write_all(argv[2], atol(argv[3]));
    by_threads(remove_all);
    return failed || count == 0;
}
