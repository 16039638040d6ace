/* Clocks that are wrong: put before libc's, for one process. Its wall clock is ahead by as many seconds as one file says, and
   its clock since boot is behind by as many milliseconds as another one says. All other clocks are the machine's. See
   machine.rs. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L

/* The number in the file that the environment names; 0 where there is none. */
static long told(const char *name) {
    const char *path = getenv(name);
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    char number[32] = {0};
    long is_there = read(file, number, sizeof number - 1);
    close(file);
    return is_there > 0 ? atol(number) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += told("ROOKERY_WALL_CLOCK");
    if (!failed && clock == CLOCK_BOOTTIME) {
        long nanos = now->tv_sec * SECOND + now->tv_nsec - told("ROOKERY_BOOT_CLOCK") * 1000000L;
        now->tv_sec = nanos / SECOND;
        now->tv_nsec = nanos % SECOND;
    }
    return (int)failed;
}
