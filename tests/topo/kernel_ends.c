/*
 * Two ends of one TCP connection over loopback, both in this process, whose keys the kernel backend
 * (src/daemon/ao_kernel*.c) puts on the sockets and moves; there is no preload library, no parent
 * and no engine. For the lab kernel (test_kernel_backend.py).
 *
 *   kernel_ends FAMILY SECONDS A.conf B.conf [restart=SECOND] [reload=SECOND:A.conf:B.conf]
 *
 * FAMILY: v4, v6, mapped (IPv4 on IPv6 sockets) or dual (an IPv4 socket to one that listens on ::,
 * as the daemons do that have one socket for both). A connects to B's listener; both write a line
 * every 50 ms. One object of JSON at the end says what became of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ao_sockets.h"
#include "daemon/socket_flows.h"
#include "platform/kernel_ao.h"
#include "tcpao/engine.h"

enum { STEP = 50000, SOCKETS = 4, KEPT = 512 };

struct tracked {
    int fd;
    uint64_t cookie;
    uint8_t kept[KEPT];
    size_t kept_len;
};

struct end {
    const char *name;
    struct gh_kernel *kernel;
    struct gh_setup setup;
    struct tracked sockets[SOCKETS];
    size_t count;
    int fd; /* of the connection; -1 */
    unsigned sent, received;
    double last_received;
    json_t *connection, *refusals;
    unsigned flow_changes;
};

static struct end ends[2] = {{.name = "a", .fd = -1}, {.name = "b", .fd = -1}};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "kernel_ends: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double seconds(void)
{
    return (double)gh_clock_now().mono_ms / 1000;
}

/* ---- In the engine's place (--wrap) ---- */

bool __wrap_ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f);
void __wrap_ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                       unsigned counter, uint64_t more);
void __wrap_ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx);
void __wrap_ao_engine_foreign_use(struct ao_engine *e, const char *session,
                                  const struct ao_key_counters *more);
void __wrap_ao_engine_set_foreign(struct ao_engine *e, const char *session,
                                  enum ao_foreign_keys keys);
struct tcpao_chain *__wrap_ao_engine_chain(const struct ao_engine *e, const char *session);

static json_t *key_number(bool known, uint32_t number)
{
    return known ? json_integer(number) : json_null();
}

bool __wrap_ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f)
{
    struct end *end = (struct end *)e;
    json_t *counters = json_object();

    for (unsigned i = 0; i < AO_COUNTERS; i++)
        if (f->counters[i] > 0)
            json_object_set_new(counters, ao_counter_name(i),
                                json_integer((json_int_t)f->counters[i]));
    json_decref(end->connection);
    end->connection =
        json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:I, s:I, s:i, s:i}", "session", f->session,
                  "state", ao_state_name(f->state), "active", f->active, "current",
                  key_number(f->conn.current_known, f->conn.current_key), "rnext",
                  key_number(f->conn.rnext_known, f->conn.rnext_key), "last_received",
                  key_number(f->conn.last_recv_known, f->conn.last_recv_key), "counters", counters,
                  "octets_in", (json_int_t)f->octets_in, "octets_out", (json_int_t)f->octets_out,
                  "local_port", f->local.port, "remote_port", f->remote.port);
    return true;
}

void __wrap_ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                       unsigned counter, uint64_t more)
{
    struct end *end = (struct end *)e;
    const char *name = ao_counter_name(counter);
    json_t *mine = json_object_get(end->refusals, session);
    json_int_t was = json_integer_value(json_object_get(mine, name));

    if (mine == NULL)
        json_object_set_new(end->refusals, session, mine = json_object());
    json_object_set_new(mine, name, json_integer(was + (json_int_t)more));
}

void __wrap_ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx)
{
}

void __wrap_ao_engine_foreign_use(struct ao_engine *e, const char *session,
                                  const struct ao_key_counters *more)
{
}

/* No session here has negotiated keys. */
void __wrap_ao_engine_set_foreign(struct ao_engine *e, const char *session,
                                  enum ao_foreign_keys keys)
{
}

struct tcpao_chain *__wrap_ao_engine_chain(const struct ao_engine *e, const char *session)
{
    return NULL;
}

/* ---- In the dispatcher's place ---- */

static struct tracked *find(struct end *e, uint64_t cookie)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->sockets[i].cookie == cookie)
            return &e->sockets[i];
    return NULL;
}

static void on_fetch(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode)
{
    struct end *e = ctx;
    struct tracked *t = find(e, cookie);

    check(t != NULL && pid == (uint32_t)getpid() && inode != 0, "the socket asked for");
    gh_kernel_fetched(e->kernel, gh_clock_now(), id, dup(t->fd), 0);
}

static void on_watch(void *ctx, uint16_t zone, uint64_t cookie)
{
}

static void on_keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct tracked *t = find(ctx, cookie);

    if (t == NULL || len > KEPT)
        return;
    if (len > 0)
        memcpy(t->kept, data, len);
    t->kept_len = len;
}

static void on_flows(void *ctx, uint16_t zone)
{
    ((struct end *)ctx)->flow_changes++;
}

static void start_kernel(struct end *e)
{
    const struct gh_kernel_ops ops = {
        .fetch = on_fetch, .watch = on_watch, .keep = on_keep, .flows_changed = on_flows, .ctx = e};

    e->kernel = gh_kernel_new((struct ao_engine *)e, gh_kernel_has_ao(), &ops);
    check(e->kernel != NULL, "gh_kernel_new");
}

static struct gh_socket_facts facts_of(struct end *e, int fd, enum emu_tcp_state state,
                                       const struct tcpao_endpoint *remote)
{
    struct gh_kernel_socket sock = gh_kernel_socket_look(fd);
    struct gh_socket_facts f = {.pid = (uint32_t)getpid()};
    struct stat st;

    check(fstat(fd, &st) == 0, "fstat");
    f.inode = st.st_ino;
    f.emu.cookie = gh_kernel_cookie(&sock);
    f.emu.ipv6 = sock.ipv6;
    f.emu.state = state;
    f.emu.local = gh_kernel_local(&sock);
    if (remote != NULL)
        f.emu.remote = *remote;
    if (find(e, f.emu.cookie) == NULL)
        e->sockets[e->count++] = (struct tracked){.fd = fd, .cookie = f.emu.cookie};
    return f;
}

static void load(struct end *e, const char *path)
{
    struct gh_problems problems = {.list = NULL};
    struct gh_setup next = {.config =
                                gh_config_load(path, &(struct gh_config_options){0}, &problems)};

    if (next.config == NULL)
        gh_problems_print(&problems, stderr);
    check(next.config != NULL, path);
    gh_problems_clear(&problems);
    next.zones = calloc(next.config->session_count + 1, sizeof(*next.zones));
    gh_setup_clear(&e->setup); /* as ao.c does */
    e->setup = next;
    gh_kernel_configure(e->kernel, gh_clock_now(), &e->setup);
}

/* Another process takes over; nothing but what was kept is known to it. */
static void restart(struct end *e, const char *path)
{
    gh_kernel_free(e->kernel);
    start_kernel(e);
    for (size_t i = 0; i < e->count; i++)
        if (e->sockets[i].kept_len > 0)
            gh_kernel_restore(e->kernel, e->sockets[i].cookie, e->sockets[i].kept,
                              e->sockets[i].kept_len);
    load(e, path);
}

/* ---- Sockets ---- */

struct family {
    const char *name;
    int domains[2];
    const char *addresses[2]; /* that the sockets are bound to */
    const char *peers[2];     /* as the configuration has them, and as A connects to */
};

static const struct family families[] = {
    {"v4", {AF_INET, AF_INET}, {"127.0.0.1", "127.0.0.2"}, {"127.0.0.1", "127.0.0.2"}},
    {"v6", {AF_INET6, AF_INET6}, {"fd99::1", "fd99::2"}, {"fd99::1", "fd99::2"}},
    {"mapped",
     {AF_INET6, AF_INET6},
     {"::ffff:127.0.0.1", "::ffff:127.0.0.2"},
     {"127.0.0.1", "127.0.0.2"}},
    {"dual", {AF_INET, AF_INET6}, {"127.0.0.1", "::"}, {"127.0.0.1", "127.0.0.2"}},
};

/* Of a socket of this domain; IPv4 is mapped into IPv6. */
static socklen_t address(int domain, const char *text, uint16_t port, struct sockaddr_storage *out)
{
    char mapped[64];

    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(out, 0, sizeof(*out));
    if (domain == AF_INET) {
        check(inet_pton(AF_INET, text, &v4.sin_addr) == 1, "address");
        memcpy(out, &v4, sizeof(v4));
        return sizeof(v4);
    }
    snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') == NULL ? "::ffff:" : "", text);
    check(inet_pton(AF_INET6, mapped, &v6.sin6_addr) == 1, "address");
    memcpy(out, &v6, sizeof(v6));
    return sizeof(v6);
}

static struct tcpao_endpoint endpoint(const struct family *f, int which, uint16_t port)
{
    struct tcpao_endpoint e = {.port = port};
    struct gh_addr a;

    check(gh_addr_parse(f->peers[which], &a), "address");
    e.addr_len = a.len;
    memcpy(e.addr, a.octets, a.len);
    return e;
}

static int new_socket(const struct family *f, int which, uint16_t port)
{
    struct sockaddr_storage name;
    socklen_t len = address(f->domains[which], f->addresses[which], port, &name);
    int fd = socket(f->domains[which], SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    check(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "socket");
    check(bind(fd, (struct sockaddr *)&name, len) == 0, "bind");
    return fd;
}

enum { PORT = 1790 };

static int listen_b(const struct family *f, json_t *report)
{
    int fd = new_socket(f, 1, PORT), error = 0;
    struct gh_socket_facts facts = facts_of(&ends[1], fd, EMU_CLOSED, NULL);
    enum gh_shim_action action =
        gh_kernel_listen(ends[1].kernel, gh_clock_now(), fd, &facts, &error);

    json_object_set_new(report, "listen_error", json_integer(error));
    json_object_set_new(report, "listen_carried", json_boolean(action == GH_SHIM_DONE));
    check(listen(fd, 8) == 0, "listen");
    return fd;
}

static void connect_a(const struct family *f, json_t *report)
{
    int fd = new_socket(f, 0, 0), error = 0;
    struct gh_socket_facts facts = facts_of(&ends[0], fd, EMU_CLOSED, NULL);
    struct tcpao_endpoint peer = endpoint(f, 1, PORT);
    struct sockaddr_storage name;
    socklen_t len = address(f->domains[0], f->peers[1], PORT, &name);
    enum gh_shim_action action =
        gh_kernel_connect(ends[0].kernel, gh_clock_now(), fd, &facts, &peer, &error);

    json_object_set_new(report, "connect_error", json_integer(error));
    json_object_set_new(report, "connect_carried", json_boolean(action == GH_SHIM_DONE));
    if (error != 0)
        return;
    check(connect(fd, (struct sockaddr *)&name, len) == 0 || errno == EINPROGRESS, "connect");
    ends[0].fd = fd;
}

static void accept_b(const struct family *f, int listener, json_t *report)
{
    struct sockaddr_in v4;
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    int fd = ends[1].fd < 0 ? accept4(listener, (struct sockaddr *)&name, &len, SOCK_NONBLOCK) : -1;
    struct tcpao_endpoint remote;
    struct gh_socket_facts facts;
    int error = 0;

    if (fd < 0)
        return;
    memcpy(&v4, &name, sizeof(v4));
    remote = endpoint(f, 0, ntohs(v4.sin_port));
    facts = facts_of(&ends[1], fd, EMU_CONNECTED, &remote);
    gh_kernel_accepted(ends[1].kernel, gh_clock_now(), fd, &facts, &error);
    json_object_set_new(report, "accept_error", json_integer(error));
    ends[1].fd = fd;
}

static void talk(struct end *e)
{
    char buf[4096];
    ssize_t n;

    if (e->fd < 0)
        return;
    e->sent += send(e->fd, "a line\n", 7, MSG_NOSIGNAL) == 7;
    while ((n = recv(e->fd, buf, sizeof(buf), 0)) > 0) {
        e->received += (unsigned)n / 7;
        e->last_received = seconds();
    }
}

/* ---- What became of it ---- */

static void count_flow(void *ctx, const struct gh_socket_flow *flow)
{
    *(int *)ctx += flow->kind == GH_FLOW_GUARD;
}

static json_t *keys_of(int fd)
{
    struct gh_kernel_socket sock = gh_kernel_socket_look(fd);
    struct gh_kernel_info info = {.required = false};
    struct gh_kernel_key *keys;
    size_t count;
    json_t *list = json_array();

    gh_kernel_ao_info(&sock, &info);
    if (gh_kernel_ao_keys(&sock, &keys, &count) == 0) {
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, json_pack("[i, i]", keys[i].send_id, keys[i].recv_id));
        gh_kernel_ao_keys_free(keys, count);
    }
    return json_pack("{s:o, s:b, s:b}", "ids", list, "required", info.required, "accept_icmps",
                     info.accept_icmps);
}

static json_t *describe(struct end *e, double now)
{
    int flows = 0;

    gh_kernel_each_flow(e->kernel, 0, count_flow, &flows);
    return json_pack("{s:i, s:i, s:f, s:O?, s:O, s:i, s:i, s:o}", "sent", (int)e->sent, "received",
                     (int)e->received, "silent_for",
                     e->received > 0 ? now - e->last_received : -1.0, "connection", e->connection,
                     "refusals", e->refusals, "flows", flows, "flow_changes", (int)e->flow_changes,
                     "socket", e->fd >= 0 ? keys_of(e->fd) : json_null());
}

struct plan {
    double restart, reload; /* seconds, 0: never */
    char *later[2];
    const char *now[2];
};

static void do_plan(struct plan *p, double passed)
{
    if (p->restart > 0 && passed >= p->restart) {
        p->restart = 0;
        for (int i = 0; i < 2; i++)
            restart(&ends[i], p->now[i]);
    }
    if (p->reload > 0 && passed >= p->reload) {
        p->reload = 0;
        for (int i = 0; i < 2; i++) {
            p->now[i] = p->later[i];
            load(&ends[i], p->now[i]);
        }
    }
}

static void run(const struct family *f, double duration, struct plan *p, json_t *report)
{
    double start = seconds();
    int listener = listen_b(f, report);

    connect_a(f, report);
    while (seconds() - start < duration) {
        do_plan(p, seconds() - start);
        accept_b(f, listener, report);
        for (int i = 0; i < 2; i++) {
            struct gh_now now = gh_clock_now();

            talk(&ends[i]);
            if (gh_kernel_next_deadline(ends[i].kernel, now) <= now.mono_ms)
                gh_kernel_tick(ends[i].kernel, now);
        }
        usleep(STEP);
    }
    json_object_set_new(report, "listener", keys_of(listener));
}

int main(int argc, char **argv)
{
    const struct family *f = NULL;
    struct plan p = {.restart = 0};
    json_t *report = json_object();

    for (size_t i = 0; argc >= 5 && i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(argv[1], families[i].name) == 0)
            f = &families[i];
    if (f == NULL) {
        fputs("usage: kernel_ends FAMILY SECONDS A.conf B.conf [restart=S] [reload=S:A:B]\n",
              stderr);
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        if (strncmp(argv[i], "restart=", 8) == 0)
            p.restart = atof(argv[i] + 8);
        else if (sscanf(argv[i], "reload=%lf:%m[^:]:%ms", &p.reload, &p.later[0], &p.later[1]) != 3)
            return 2;
    }
    for (int i = 0; i < 2; i++) {
        ends[i].refusals = json_object();
        p.now[i] = argv[3 + i];
        start_kernel(&ends[i]);
        load(&ends[i], p.now[i]);
    }
    run(f, atof(argv[2]), &p, report);
    for (int i = 0; i < 2; i++)
        json_object_set_new(report, ends[i].name, describe(&ends[i], seconds()));
    json_object_set_new(report, "has_ao", json_boolean(gh_kernel_has_ao()));
    json_dumpf(report, stdout, JSON_COMPACT);
    putchar('\n');
    return 0;
}
