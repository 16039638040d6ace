/* A wall clock that is wrong by as many seconds as a file says: put before libc's, for one process. All other clocks are
   the machine's. See machine.rs. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("ROOKERY_WALL_CLOCK");
    if (failed || clock != CLOCK_REALTIME || !path)
        return (int)failed;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    char seconds[32] = {0};
    if (read(file, seconds, sizeof seconds - 1) > 0)
        now->tv_sec += atol(seconds);
    close(file);
    return 0;
}
