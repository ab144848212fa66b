/*
 * The load generator: one thread over epoll, so that what is measured is the server and never the client.
 *
 *   load MODE --port P [--host A] [--unix PATH] [--tls] [--connections N] [--size BYTES] [--inflight K]
 *        [--warmup MS] [--duration MS] [--pid SERVER] [--touch]
 *
 *   echo    every connection keeps K messages of SIZE bytes in flight and counts what comes back
 *   lines   the same with lines that end in "\n"
 *   sink    one connection sends as fast as it can; the server answers the end with the count, 8 bytes, little-endian
 *   source  one connection receives as fast as it can
 *   churn   N connections at a time: connect, one message, its echo, close
 *   idle    opens N connections and holds them until stdin ends; --touch echoes one message on each first
 *
 * Prints one line of JSON. Every byte of an echo is compared while warming up (of messages up to 4 KiB always),
 * the count of bytes always, and what is still in flight at the end is awaited and compared again. "load_busy" is the share of time this program used the processor:
 * well below 1 means that the server was the bottleneck. With --pid, on Linux, the processor time of the server per
 * message is told too, which other programs on the machine disturb much less than the rate.
 *
 * cc -O2 -o load load.c, or with TLS: cc -O2 -DWITH_TLS -o load load.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

#define BLOCK (256 * 1024)
#define DRAIN_NS 5000000000ULL

static struct {
  const char *mode, *host, *path;
  int port, connections, inflight, pid, tls, touch;
  size_t size;
  uint64_t warmup, duration; /* nanoseconds */
} opt = {.host = "127.0.0.1", .connections = 1, .inflight = 1, .size = 1024, .warmup = 300000000, .duration = 1000000000};

struct conn {
  int fd;
  int connecting;
  int wants_out;
  size_t to_send;     /* bytes that may be sent now */
  uint64_t sent, got; /* bytes, over the whole life */
  uint64_t *since;    /* when each message in flight was queued; a ring */
  uint64_t queued, done;
#ifdef WITH_TLS
  SSL *ssl;
#endif
};

static char *pattern; /* the message, again and again */
static size_t pattern_length;
static char block[BLOCK];

static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("Cannot generate load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000ULL + t.tv_nsec;
}
static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* ---- what is measured ---- */

/* Latencies by octave, 32 steps each: within 3 %, whatever the size. */
static uint64_t histogram[64 * 32];

static void record(uint64_t ns) {
  if (ns < 32) ns = 32;
  int octave = 63 - __builtin_clzll(ns);
  histogram[octave * 32 + ((ns >> (octave - 5)) & 31)]++;
}

static double percentile_us(double share) {
  uint64_t total = 0, seen = 0;
  for (int i = 0; i < 64 * 32; i++) total += histogram[i];
  for (int i = 0; i < 64 * 32; i++) {
    seen += histogram[i];
    if (total > 0 && seen >= share * total)
      return (double)((1ULL << (i / 32)) + ((uint64_t)(i % 32) << (i / 32 - 5))) / 1000;
  }
  return 0;
}

/* The processor time of all threads of the server, in nanoseconds; 0 where it is not known. */
static uint64_t server_cpu(void) {
  char path[64];
  uint64_t total = 0, one;
  snprintf(path, sizeof path, "/proc/%d/task", opt.pid);
  DIR *tasks = opt.pid ? opendir(path) : NULL;
  if (!tasks) return 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    char name[sizeof path + 300];
    snprintf(name, sizeof name, "%s/%s/schedstat", path, task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(name, "r");
    if (!file) continue;
    if (fscanf(file, "%lu", &one) == 1) total += one;
    fclose(file);
  }
  closedir(tasks);
  return total;
}

static enum { WARMING, MEASURING, DRAINING } phase = WARMING;
static uint64_t phase_start, messages, bytes, measured_ns, own_cpu, their_cpu;

/* Moves on when the time has come. */
static void tick(uint64_t now) {
  if (phase == WARMING && now - phase_start >= opt.warmup) {
    phase = MEASURING;
    messages = bytes = 0;
    memset(histogram, 0, sizeof histogram);
    their_cpu = server_cpu();
    own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    phase_start = now_ns();
  } else if (phase == MEASURING && now - phase_start >= opt.duration) {
    phase = DRAINING;
    measured_ns = now - phase_start;
    own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_cpu;
    uint64_t cpu = server_cpu();
    their_cpu = cpu && their_cpu ? cpu - their_cpu : 0;
    phase_start = now_ns();
  } else if (phase == DRAINING && now - phase_start >= DRAIN_NS) {
    die("the server still owes bytes %d seconds after the end", (int)(DRAIN_NS / 1000000000));
  }
}

static void report(uint64_t final_messages, uint64_t final_bytes) {
  double seconds = measured_ns / 1e9;
  printf("{\"mode\":\"%s\",\"messages\":%lu,\"seconds\":%.4f,\"messagesPerSecond\":%.1f,\"mibPerSecond\":%.2f,"
         "\"p50us\":%.1f,\"p99us\":%.1f,\"loadBusy\":%.3f,\"cpuUsPerMessage\":",
         opt.mode, final_messages, seconds, final_messages / seconds, final_bytes / seconds / 1048576,
         percentile_us(0.5), percentile_us(0.99), own_cpu / (double)measured_ns);
  if (their_cpu && final_messages)
    printf("%.3f}\n", their_cpu / 1000.0 / final_messages);
  else
    puts("null}");
}

/* ---- connections ---- */

static int open_socket(int nonblocking, unsigned source) {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
  } addr = {0};
  socklen_t length;
  int fd = socket(opt.path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
  if (fd < 0) die("socket: %s", strerror(errno));
  if (opt.path) {
    addr.un.sun_family = AF_UNIX;
    strncpy(addr.un.sun_path, opt.path, sizeof addr.un.sun_path - 1);
    length = sizeof addr.un;
  } else {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    addr.in.sin_family = AF_INET;
    length = sizeof addr.in;
    if (source) {
      /* Many source addresses, so that closed connections that linger never use up the ports. */
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
      addr.in.sin_addr.s_addr = htonl(0x7f000001 + source % 250);
      if (bind(fd, &addr.any, length) < 0) die("bind: %s", strerror(errno));
    }
    inet_pton(AF_INET, opt.host, &addr.in.sin_addr);
    addr.in.sin_port = htons(opt.port);
  }
  while (connect(fd, &addr.any, length) < 0) {
    if (nonblocking && errno == EINPROGRESS) break;
    if (errno == EINTR || errno == EAGAIN) continue;
    die("connect: %s", strerror(errno));
  }
  return fd;
}

#ifdef WITH_TLS
static SSL_CTX *tls_context;

static void start_tls(struct conn *c) {
  if (!tls_context) {
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls_context, 1);
  }
  c->ssl = SSL_new(tls_context);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_tlsext_host_name(c->ssl, "localhost");
  if (SSL_connect(c->ssl) != 1) die("the TLS handshake failed");
}
#endif

static ssize_t tls_result(struct conn *c, int n) {
#ifdef WITH_TLS
  int why = SSL_get_error(c->ssl, n);
  errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
#else
  (void)c, (void)n;
  return -1;
#endif
}

static ssize_t receive(struct conn *c, void *p, size_t n) {
#ifdef WITH_TLS
  if (c->ssl) {
    int got = SSL_read(c->ssl, p, n);
    return got > 0 ? got : tls_result(c, got);
  }
#endif
  return recv(c->fd, p, n, 0);
}

static ssize_t transmit(struct conn *c, const void *p, size_t n) {
#ifdef WITH_TLS
  if (c->ssl) {
    int put = SSL_write(c->ssl, p, n);
    return put > 0 ? put : tls_result(c, put);
  }
#endif
  return send(c->fd, p, n, MSG_NOSIGNAL);
}

static void watch(int poll, struct conn *c, int op, int out) {
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  if (epoll_ctl(poll, op, c->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
  c->wants_out = out;
}

/* ---- echo and lines ---- */

static void queue_message(struct conn *c, uint64_t now) {
  c->since[c->queued++ % opt.inflight] = now;
  c->to_send += opt.size;
}

static void flush(int poll, struct conn *c) {
  while (c->to_send) {
    size_t at = c->sent % opt.size, n = pattern_length - at;
    ssize_t put = transmit(c, pattern + at, n < c->to_send ? n : c->to_send);
    if (put < 0) {
      if (errno != EAGAIN) die("send: %s", strerror(errno));
      break;
    }
    c->sent += put;
    c->to_send -= put;
  }
  if (!!c->to_send != c->wants_out) watch(poll, c, EPOLL_CTL_MOD, !!c->to_send);
}

/* Takes one piece; false when there was none. */
static int take(struct conn *c) {
  ssize_t n = receive(c, block, BLOCK);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) die("the server closed a connection: %s", n ? strerror(errno) : "EOF");
  if ((phase != MEASURING || opt.size <= 4096) && memcmp(block, pattern + c->got % opt.size, n)) die("the echo differs from what was sent");
  c->got += n;
  uint64_t now = now_ns();
  tick(now);
  if (c->got > c->queued * opt.size) die("the server sent more than it was sent");
  while (c->done < c->got / opt.size) {
    record(now - c->since[c->done++ % opt.inflight]);
    messages += phase == MEASURING;
    if (phase != DRAINING) queue_message(c, now);
  }
  return 1;
}

static int is_tls(struct conn *c) {
#ifdef WITH_TLS
  return c->ssl != NULL;
#else
  (void)c;
  return 0;
#endif
}

static struct conn *open_all(int poll) {
  struct conn *conns = calloc(opt.connections, sizeof *conns);
  for (int i = 0; i < opt.connections; i++) {
    struct conn *c = &conns[i];
    /* A full accept queue would cost whole seconds. */
    if (i % 64 == 63) usleep(2000);
    c->fd = open_socket(0, opt.connections > 1000 && !opt.path ? i + 1 : 0);
#ifdef WITH_TLS
    if (opt.tls) start_tls(c);
#endif
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->since = calloc(opt.inflight, sizeof *c->since);
    if (poll >= 0) watch(poll, c, EPOLL_CTL_ADD, 0);
  }
  return conns;
}

static int owes(struct conn *conns) {
  for (int i = 0; i < opt.connections; i++)
    if (conns[i].done < conns[i].queued) return 1;
  return 0;
}

static void echo(void) {
  struct epoll_event events[256];
  int poll = epoll_create1(0);
  struct conn *conns = open_all(poll);
  phase_start = now_ns();
  for (int i = 0; i < opt.connections; i++) {
    for (int k = 0; k < opt.inflight; k++) queue_message(&conns[i], phase_start);
    flush(poll, &conns[i]);
  }
  uint64_t final = 0;
  while (phase != DRAINING || owes(conns)) {
    int n = epoll_wait(poll, events, 256, 100);
    if (n == 0) tick(now_ns());
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      /* OpenSSL may hold decrypted bytes that epoll knows nothing of. */
      while (take(c) && is_tls(c)) {}
      flush(poll, c);
    }
    if (phase == MEASURING) final = messages;
  }
  report(final, final * opt.size);
}

/* ---- one way ---- */

static void sink(void) {
  struct conn *c = open_all(-1);
  uint64_t final = 0;
  fcntl(c->fd, F_SETFL, 0);
  phase_start = now_ns();
  while (phase != DRAINING) {
    /* Not sendfile: page by page it is three times slower here than the copy it saves. */
    ssize_t n = send(c->fd, block, BLOCK, MSG_NOSIGNAL);
    if (n <= 0) die("send: %s", strerror(errno));
    c->sent += n;
    bytes += n;
    tick(now_ns());
    if (phase == MEASURING) final = bytes;
  }
  shutdown(c->fd, SHUT_WR);
  uint64_t told;
  if (recv(c->fd, &told, sizeof told, MSG_WAITALL) != sizeof told) die("the server did not tell what it received");
  if (told != c->sent) die("the server received %lu bytes of %lu", told, c->sent);
  report(final / opt.size, final);
}

static void source(void) {
  struct conn *c = open_all(-1);
  uint64_t final = 0;
  fcntl(c->fd, F_SETFL, 0);
  phase_start = now_ns();
  while (phase != DRAINING) {
    ssize_t n = recv(c->fd, block, BLOCK, 0);
    if (n <= 0) die("the server ended the stream");
    bytes += n;
    tick(now_ns());
    if (phase == MEASURING) final = bytes;
  }
  report(final / opt.size, final);
}

/* ---- connect, one message, close ---- */

static void reconnect(int poll, struct conn *c) {
  static unsigned source;
  uint64_t *since = c->since;
  memset(c, 0, sizeof *c);
  c->since = since;
  c->since[0] = now_ns();
  c->fd = open_socket(1, opt.path ? 0 : ++source);
  c->connecting = 1;
  watch(poll, c, EPOLL_CTL_ADD, 1);
}

static void churn(void) {
  struct epoll_event events[256];
  int poll = epoll_create1(0), open = opt.connections;
  struct conn *conns = calloc(opt.connections, sizeof *conns);
  phase_start = now_ns();
  for (int i = 0; i < opt.connections; i++) {
    conns[i].since = calloc(1, sizeof(uint64_t));
    reconnect(poll, &conns[i]);
  }
  uint64_t final = 0;
  while (open) {
    int n = epoll_wait(poll, events, 256, 100);
    tick(now_ns());
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (c->connecting) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) die("connect: %s", strerror(error));
        c->connecting = 0;
        c->to_send = opt.size;
        flush(poll, c);
        continue;
      }
      if (c->to_send) flush(poll, c);
      ssize_t got = receive(c, block, BLOCK);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) die("the server closed a connection before its echo");
      if (memcmp(block, pattern + c->got, got)) die("the echo differs from what was sent");
      c->got += got;
      if (c->got < opt.size) continue;
      close(c->fd);
      record(now_ns() - c->since[0]);
      if (phase == DRAINING) {
        open--;
      } else {
        messages++;
        reconnect(poll, c);
      }
    }
    if (phase == MEASURING) final = messages;
  }
  report(final, final * opt.size);
}

/* ---- idle ---- */

static void idle(void) {
  struct conn *conns = open_all(-1);
  for (int i = 0; opt.touch && i < opt.connections; i++) {
    struct conn *c = &conns[i];
    fcntl(c->fd, F_SETFL, 0);
    for (size_t put = 0; put < opt.size;) {
      ssize_t n = transmit(c, pattern + put, opt.size - put);
      if (n <= 0) die("send: %s", strerror(errno));
      put += n;
    }
    for (size_t got = 0; got < opt.size;) {
      ssize_t n = receive(c, block, BLOCK);
      if (n <= 0) die("the server closed a connection");
      got += n;
    }
  }
  printf("{\"mode\":\"idle\",\"connections\":%d}\n", opt.connections);
  fflush(stdout);
  while (getchar() != EOF) {}
}

/* ---- */

static uint64_t number(const char *name, const char *text) {
  char *end;
  uint64_t n = strtoull(text ? text : "", &end, 10);
  if (!text || *end || end == text) die("%s needs a number, not \"%s\"", name, text ? text : "");
  return n;
}

int main(int argc, char **argv) {
  if (argc < 2) die("no mode given");
  opt.mode = argv[1];
  for (int i = 2; i < argc; i++) {
    char *name = argv[i];
    if (!strcmp(name, "--tls")) opt.tls = 1;
    else if (!strcmp(name, "--touch")) opt.touch = 1;
    else if (i + 1 == argc) die("\"%s\" needs a value", name);
    else if (!strcmp(name, "--host")) opt.host = argv[++i];
    else if (!strcmp(name, "--unix")) opt.path = argv[++i];
    else if (!strcmp(name, "--port")) opt.port = number(name, argv[++i]);
    else if (!strcmp(name, "--connections")) opt.connections = number(name, argv[++i]);
    else if (!strcmp(name, "--size")) opt.size = number(name, argv[++i]);
    else if (!strcmp(name, "--inflight")) opt.inflight = number(name, argv[++i]);
    else if (!strcmp(name, "--warmup")) opt.warmup = number(name, argv[++i]) * 1000000;
    else if (!strcmp(name, "--duration")) opt.duration = number(name, argv[++i]) * 1000000;
    else if (!strcmp(name, "--pid")) opt.pid = number(name, argv[++i]);
    else die("\"%s\" is not an option", name);
  }
  if (!opt.size || !opt.connections || !opt.inflight) die("size, connections and inflight must be at least 1");
#ifndef WITH_TLS
  if (opt.tls) die("it was built without TLS");
#endif
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  int lines = !strcmp(opt.mode, "lines");
  pattern_length = opt.size * (opt.inflight + 1) + BLOCK;
  pattern = malloc(pattern_length);
  for (size_t i = 0; i < pattern_length; i++) {
    size_t at = i % opt.size;
    pattern[i] = !lines ? (char)(at * 131 + (at >> 8)) : at == opt.size - 1 ? '\n' : (char)('a' + at % 26);
  }

  if (lines || !strcmp(opt.mode, "echo")) echo();
  else if (!strcmp(opt.mode, "sink")) sink();
  else if (!strcmp(opt.mode, "source")) source();
  else if (!strcmp(opt.mode, "churn")) churn();
  else if (!strcmp(opt.mode, "idle")) idle();
  else die("\"%s\" is not a mode", opt.mode);
  return 0;
}
