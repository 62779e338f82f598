/* Faults in system calls on files below one folder, for tests/faults.py: loaded with LD_PRELOAD, and without effect
   until arm() is called, which a forked child does.

   Calls below the folder are counted. A schedule says what happens at which of them:
     AT f ERRNO     the call fails                      AT s 0    a write is short: half of it is written
     AT F ERRNO     all calls of its class fail from    AT t 0    half of a write is written, then SIGKILL
                    here on (`AT o 0`: and no longer)   AT k/K 0  SIGKILL before / after the call
     AT d MS        the call takes that long            AT g SIG  a signal arrives
     AT c SECONDS   CLOCK_REALTIME jumps
   Each call becomes a line of the journal: number, name, result, and its path. What rename() replaces is kept as a link
   beside the journal, so that the loss of what was never synchronized can be simulated afterwards. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ({ static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

static struct { long at; char kind; long arg; } plan[16];
static int planned, armed, journal = -1, stuck;  /* stuck: the errno of all further calls of class `stuck_class` */
static char folder[PATH_MAX], shadow[PATH_MAX], stuck_class;
static atomic_long count, clock_offset;

int arm(const char *root, const char *schedule, const char *journal_path, const char *shadow_folder) {
    strcpy(folder, root);
    strcpy(shadow, shadow_folder);
    journal = syscall(SYS_openat, AT_FDCWD, journal_path, O_CREAT | O_WRONLY | O_APPEND, 0644);
    journal = fcntl(journal, F_DUPFD, 900);  /* out of the way of code that counts on the lowest free number */
    for (int used; sscanf(schedule, "%ld %c %ld;%n", &plan[planned].at, &plan[planned].kind, &plan[planned].arg, &used) == 3;
         planned++) schedule += used;
    return armed = journal >= 0;
}

/* a path from the root, of a file descriptor if there is no name; 0 if it is not below the folder */
static int below(char *full, int dir, const char *name) {
    char fd[32], at[PATH_MAX] = "";
    if (!armed) return 0;
    if (!name || name[0] != '/') {
        snprintf(fd, sizeof fd, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, fd, at, sizeof at - 1);
        at[n > 0 ? n : 0] = 0;
    }
    snprintf(full, PATH_MAX, "%s%s%s", at, name && name[0] != '/' ? "/" : "", name ? name : "");
    size_t n = strlen(folder);
    return !strncmp(full, folder, n) && (full[n] == '/' || !full[n]);
}

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); }
static char class_of(int error) { return error == EMFILE ? 'o' : error == ENOSPC ? 'w' : 'a'; }

/* what happens at this call: 0 nothing, -1 it fails with errno, 's' a short write, 't' a torn one, 'K' death after it */
static int fault(const char *classes, long *n) {
    int what = 0;
    *n = ++count;
    for (int i = 0; i < planned; i++) if (plan[i].at == *n) switch (plan[i].kind) {
        case 'f': errno = plan[i].arg; what = -1; break;
        case 'F': stuck = plan[i].arg; stuck_class = class_of(stuck); break;
        case 'o': stuck = 0; break;
        case 'k': die(); break;
        case 'd': nanosleep(&(struct timespec){plan[i].arg/1000, plan[i].arg%1000*1000000}, 0); break;
        case 'g': raise(plan[i].arg); break;
        case 'c': clock_offset += plan[i].arg; break;
        default: what = plan[i].kind;
    }
    if (stuck && (stuck_class == 'a' || strchr(classes, stuck_class))) { errno = stuck; return -1; }
    return what;
}

static void note(long n, const char *name, long result, const char *path, const char *more) {
    char line[2*PATH_MAX + 64];
    int error = errno, size = snprintf(line, sizeof line, "%ld\t%s\t%ld\t%s\t%s\n", n, name, result, path, more);
    syscall(SYS_write, journal, line, size);
    errno = error;
}

/* a call: its classes ("o" opens, "w" needs room on the disk), the folder and name it works on, what to note, the call */
#define FAULTY(type, bad, name, classes, dir, path, more, call) do { \
    char full[PATH_MAX]; long n; int what = 0; \
    if (!below(full, dir, path)) return call; \
    what = fault(classes, &n); \
    type result = what == -1 ? bad : call; \
    note(n, name, (long)result, full, more); \
    if (what == 'K' || what == 't') die(); \
    return result; } while (0)
#define HALF(n) ((what == 's' || what == 't') && (n) > 1 ? (n)/2 : (n))
#define OPENED(flags) ((flags) & O_TRUNC ? "truncated" : (flags) & O_CREAT ? "created" : "")

#define OPEN(name, real_name) int name(const char *path, int flags, ...) { \
    va_list a; va_start(a, flags); int mode = va_arg(a, int); va_end(a); \
    FAULTY(int, -1, "open", flags & O_CREAT ? "ow" : "o", AT_FDCWD, path, OPENED(flags), REAL(real_name)(path, flags, mode)); }
#define OPENAT(name) int name(int dir, const char *path, int flags, ...) { \
    va_list a; va_start(a, flags); int mode = va_arg(a, int); va_end(a); \
    FAULTY(int, -1, "open", flags & O_CREAT ? "ow" : "o", dir, path, OPENED(flags), REAL(name)(dir, path, flags, mode)); }
OPEN(open, open) OPEN(open64, open64) OPENAT(openat) OPENAT(openat64)
DIR *opendir(const char *p) { FAULTY(DIR *, 0, "opendir", "o", AT_FDCWD, p, "", REAL(opendir)(p)); }
DIR *fdopendir(int f) { FAULTY(DIR *, 0, "opendir", "", f, 0, "", REAL(fdopendir)(f)); }
ssize_t read(int f, void *b, size_t n_) { FAULTY(ssize_t, -1, "read", "", f, 0, "", REAL(read)(f, b, n_)); }
ssize_t write(int f, const void *b, size_t n_) { FAULTY(ssize_t, -1, "write", "w", f, 0, "", REAL(write)(f, b, HALF(n_))); }
ssize_t sendfile(int f, int from, off_t *at, size_t n_) {
    FAULTY(ssize_t, -1, "write", "w", f, 0, "", REAL(sendfile)(f, from, at, HALF(n_))); }
ssize_t sendfile64(int f, int from, off64_t *at, size_t n_) {
    FAULTY(ssize_t, -1, "write", "w", f, 0, "", REAL(sendfile64)(f, from, at, HALF(n_))); }
ssize_t writev(int f, const struct iovec *v, int k) { FAULTY(ssize_t, -1, "write", "w", f, 0, "", REAL(writev)(f, v, HALF(k))); }
void *mmap(void *a, size_t n_, int prot, int flags, int f, off_t at) {
    FAULTY(void *, MAP_FAILED, "mmap", "", f, 0, "", REAL(mmap)(a, n_, prot, flags, f, at)); }
void *mmap64(void *a, size_t n_, int prot, int flags, int f, off64_t at) {
    FAULTY(void *, MAP_FAILED, "mmap", "", f, 0, "", REAL(mmap64)(a, n_, prot, flags, f, at)); }
static const char *size_of(int f) {
    static __thread char text[32]; struct stat s;
    snprintf(text, sizeof text, "%ld", fstat(f, &s) ? 0L : (long)s.st_size);
    return text; }
int fsync(int f) { FAULTY(int, -1, "fsync", "w", f, 0, size_of(f), REAL(fsync)(f)); }
int fdatasync(int f) { FAULTY(int, -1, "fsync", "w", f, 0, size_of(f), REAL(fdatasync)(f)); }
int ftruncate(int f, off_t n_) { FAULTY(int, -1, "truncate", "", f, 0, "", REAL(ftruncate)(f, n_)); }
int ftruncate64(int f, off64_t n_) { FAULTY(int, -1, "truncate", "", f, 0, "", REAL(ftruncate64)(f, n_)); }
int close(int f) { FAULTY(int, (REAL(close)(f), -1), "close", "", f, 0, "", REAL(close)(f)); }
int mkdir(const char *p, mode_t m) { FAULTY(int, -1, "mkdir", "w", AT_FDCWD, p, "", REAL(mkdir)(p, m)); }
int unlink(const char *p) { FAULTY(int, -1, "unlink", "", AT_FDCWD, p, "", REAL(unlink)(p)); }
int unlinkat(int d, const char *p, int flags) { FAULTY(int, -1, "unlink", "", d, p, "", REAL(unlinkat)(d, p, flags)); }
int rmdir(const char *p) { FAULTY(int, -1, "unlink", "", AT_FDCWD, p, "", REAL(rmdir)(p)); }
static const char *kept(const char *to, char *full) {  /* the full new path, and a link to what is there now */
    char copy[PATH_MAX + 32];
    snprintf(copy, sizeof copy, "%s/%ld", shadow, count);
    below(full, AT_FDCWD, to);
    if (armed) link(full, copy);
    return full; }
int rename(const char *from, const char *to) {
    char new[PATH_MAX];
    FAULTY(int, -1, "rename", "w", AT_FDCWD, from, new, (kept(to, new), REAL(rename)(from, to))); }
int clock_gettime(clockid_t which, struct timespec *t) {
    int result = REAL(clock_gettime)(which, t);
    if (which == CLOCK_REALTIME) t->tv_sec += clock_offset;
    return result; }
