/*
 * The kernel backend's decisions, on a kernel that need not have TCP-AO: which sessions are
 * guarded, what a program hears, what outlives a restart. Keys on sockets:
 * tests/topo/test_kernel_backend.py.
 */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/ao_kernel_priv.h"
#include "daemon/socket_flows.h"

enum { ZONE = 3, OTHER_ZONE = 4, COOKIE = 77 };

static const struct gh_now start = {.wall = 1800000000, .mono_ms = 1000000};

/* ---- In place of the engine and of the dispatcher ---- */

bool __wrap_ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f);
void __wrap_ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                       unsigned counter, uint64_t more);
void __wrap_ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx);
void __wrap_ao_engine_foreign_use(struct ao_engine *e, const char *session,
                                  const struct ao_key_counters *more);
void __wrap_ao_engine_set_foreign(struct ao_engine *e, const char *session,
                                  enum ao_foreign_keys keys);
struct tcpao_chain *__wrap_ao_engine_chain(const struct ao_engine *e, const char *session);

static struct {
    unsigned flow_changes, kept, forgotten, watched, fetched, ends;
    uint32_t fetch_id;
    uint8_t kept_data[256];
    size_t kept_len;
    unsigned in_line;
    enum ao_foreign_keys foreign;
    struct tcpao_chain *chain;  /* of a session whose keys are negotiated */
    const char *engine_carries; /* a session with an established connection */
} seen;

bool __wrap_ao_engine_foreign(struct ao_engine *e, struct gh_now now, const struct ao_foreign *f)
{
    seen.ends += f->state == AO_STATE_CLOSED;
    return true;
}

void __wrap_ao_engine_foreign_refusals(struct ao_engine *e, struct gh_now now, const char *session,
                                       unsigned counter, uint64_t more)
{
}

void __wrap_ao_engine_each_connection(const struct ao_engine *e, ao_connection_fn fn, void *ctx)
{
    struct ao_connection_view c = {.session = seen.engine_carries, .state = AO_STATE_ESTABLISHED};

    if (seen.engine_carries != NULL)
        fn(ctx, &c);
}

void __wrap_ao_engine_foreign_use(struct ao_engine *e, const char *session,
                                  const struct ao_key_counters *more)
{
}

void __wrap_ao_engine_set_foreign(struct ao_engine *e, const char *session,
                                  enum ao_foreign_keys keys)
{
    seen.foreign = keys;
}

struct tcpao_chain *__wrap_ao_engine_chain(const struct ao_engine *e, const char *session)
{
    return seen.chain;
}

static void on_in_line(void *ctx, const char *session)
{
    seen.in_line++;
}

static void on_fetch(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode)
{
    seen.fetched++;
    seen.fetch_id = id;
}

static void on_watch(void *ctx, uint16_t zone, uint64_t cookie)
{
    seen.watched++;
}

static void on_keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    if (len == 0) {
        seen.forgotten++;
        return;
    }
    assert_true(len <= sizeof(seen.kept_data));
    memcpy(seen.kept_data, data, len);
    seen.kept_len = len;
    seen.kept++;
}

static void on_flows(void *ctx, uint16_t zone)
{
    assert_true(zone == ZONE || zone == OTHER_ZONE);
    seen.flow_changes++;
}

static struct gh_kernel *backend(bool has_ao)
{
    static const struct gh_kernel_ops ops = {.fetch = on_fetch,
                                             .watch = on_watch,
                                             .keep = on_keep,
                                             .flows_changed = on_flows,
                                             .in_line = on_in_line};
    struct gh_kernel *k = gh_kernel_new(NULL, has_ao, &ops);

    memset(&seen, 0, sizeof(seen));
    assert_non_null(k);
    return k;
}

/* ---- Configurations ---- */

#define CHAIN "key-chain k { key 1 { send-id = 3 recv-id = 8 secret = \"a secret of ours\" } }\n"

static struct gh_setup setup_of(const char *text)
{
    const struct gh_config_options options = {.skip_secrets = strstr(text, "psk-file") != NULL};
    struct gh_problems problems = {.list = NULL};
    struct gh_setup s = {.config =
                             gh_config_parse("test.conf", text, strlen(text), &options, &problems)};

    if (s.config == NULL)
        gh_problems_print(&problems, stderr);
    assert_non_null(s.config);
    gh_problems_clear(&problems);
    s.zones = calloc(s.config->session_count + 1, sizeof(*s.zones));
    for (size_t i = 0; i < s.config->session_count; i++)
        s.zones[i] = s.config->sessions[i].vrf != NULL ? OTHER_ZONE : ZONE;
    return s;
}

struct flows {
    struct gh_socket_flow list[8];
    size_t count;
};

static void add_flow(void *ctx, const struct gh_socket_flow *flow)
{
    struct flows *f = ctx;

    f->list[f->count++] = *flow;
}

static struct flows flows_of(const struct gh_kernel *k, uint16_t zone)
{
    struct flows f = {.count = 0};

    gh_kernel_each_flow(k, zone, add_flow, &f);
    return f;
}

static struct tcpao_endpoint endpoint(const char *text, uint16_t port)
{
    struct tcpao_endpoint e = {.port = port};
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    e.addr_len = a.len;
    memcpy(e.addr, a.octets, a.len);
    return e;
}

static struct gh_socket_facts facts(void)
{
    return (struct gh_socket_facts){
        .emu = {.cookie = COOKIE, .zone = ZONE}, .inode = 5, .pid = (uint32_t)getpid()};
}

static enum gh_shim_action connect_to(struct gh_kernel *k, const char *peer, int *error)
{
    struct gh_socket_facts f = facts();
    struct tcpao_endpoint e = endpoint(peer, 179);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    enum gh_shim_action action = gh_kernel_connect(k, start, fd, &f, &e, error);

    close(fd);
    return action;
}

static void quiet(void *ctx, enum gh_log_level level, const char *line)
{
}

/* ---- Tests ---- */

static void backend_kernel_is_guarded_from_the_start(void **state)
{
    struct gh_setup s =
        setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k backend = kernel }\n"
                       "tcp-ao b { peer = 192.0.2.3 key-chain = k }\n"
                       "tcp-ao c { peer = 192.0.2.4 local = 192.0.2.1 port = 646 key-chain = k\n"
                       "  backend = kernel vrf = red }\n");
    struct gh_kernel *k = backend(true);
    struct flows f;

    gh_kernel_configure(k, start, &s);
    assert_int_equal(seen.flow_changes, 2);
    f = flows_of(k, ZONE);
    assert_int_equal(f.count, 2); /* "b" is the engine's until a socket comes */
    assert_int_equal(f.list[0].kind, GH_FLOW_GUARD);
    assert_int_equal(f.list[0].local_port, 179);
    assert_int_equal(f.list[0].remote_port, 0);
    assert_int_equal(f.list[0].local.len, 0);
    assert_int_equal(f.list[1].local_port, 0);
    assert_int_equal(f.list[1].remote_port, 179);
    f = flows_of(k, OTHER_ZONE);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.list[0].local_port, 646);
    assert_int_equal(f.list[0].local.len, 4);
    assert_int_equal(gh_kernel_carrier(k, &s.config->sessions[0]), GH_CARRIER_NO_SOCKET);
    assert_int_equal(gh_kernel_carrier(k, &s.config->sessions[1]), GH_CARRIER_ENGINE);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

static void without_tcp_ao_in_the_kernel(void **state)
{
    struct gh_setup s =
        setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k backend = kernel }\n"
                       "tcp-ao b { peer = 192.0.2.3 key-chain = k }\n");
    struct gh_kernel *k = backend(false);
    struct gh_socket_facts f = facts();
    int error = 0;

    gh_kernel_configure(k, start, &s);
    assert_int_equal(flows_of(k, ZONE).count, 2);
    assert_int_equal(gh_kernel_carrier(k, &s.config->sessions[0]), GH_CARRIER_NO_AO);
    assert_int_equal(connect_to(k, "192.0.2.2", &error), GH_SHIM_DONE);
    assert_int_equal(error, EKEYREJECTED);
    assert_int_equal(connect_to(k, "192.0.2.3", &error), GH_SHIM_PASS);
    assert_int_equal(connect_to(k, "192.0.2.9", &error), GH_SHIM_PASS);
    assert_int_equal(gh_kernel_listen(k, start, 0, &f, &error), GH_SHIM_PASS);
    assert_int_equal(seen.watched + seen.kept, 0);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

/* The best session is found first; if it is not the kernel's, no other one is. */
static void the_session_of_a_socket(void **state)
{
    struct gh_setup s =
        setup_of(CHAIN "tcp-ao wide { peer = 192.0.2.0/24 key-chain = k }\n"
                       "tcp-ao host { peer = 192.0.2.2 key-chain = k backend = engine }\n"
                       "tcp-ao in { peer = 198.51.100.1 key-chain = k direction = passive }\n"
                       "tcp-ao here { peer = 203.0.113.1 local = 192.0.2.1 key-chain = k }\n"
                       "tcp-ao six { peer = 2001:db8::/32 key-chain = k }\n");
    struct gh_kernel *k = backend(true);
    struct tcpao_endpoint any = {.port = 0}, any179 = {.port = 179}, peer;
    struct tcpao_endpoint elsewhere = endpoint("192.0.2.7", 0);

    gh_kernel_configure(k, start, &s);
    peer = endpoint("192.0.2.9", 179);
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), 0);
    assert_int_equal(kernel_match(k, OTHER_ZONE, &any, &peer, true), KERNEL_NO_SESSION);
    peer.port = 180;
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), KERNEL_NO_SESSION);
    assert_int_equal(kernel_match(k, ZONE, &any179, &peer, false), 0);
    peer = endpoint("192.0.2.2", 179);
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), 1);
    peer = endpoint("198.51.100.1", 179);
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), KERNEL_NO_SESSION);
    assert_int_equal(kernel_match(k, ZONE, &any179, &peer, false), 2);
    peer = endpoint("203.0.113.1", 179);
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), 3);
    assert_int_equal(kernel_match(k, ZONE, &elsewhere, &peer, true), KERNEL_NO_SESSION);
    peer = endpoint("2001:db8::5", 179);
    assert_int_equal(kernel_match(k, ZONE, &any, &peer, true), 4);
    assert_int_equal(kernel_find_session(k, "six"), 4);
    assert_int_equal(kernel_find_session(k, "seven"), KERNEL_NO_SESSION);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

/* A socket that an earlier process knew: its session stays guarded until it is gone, and a while.
 */
static void a_restored_connection(void **state)
{
    static const char text[] = CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k }\n";
    struct gh_setup s = setup_of(text), again = setup_of(text);
    struct gh_kernel *k = backend(true), *next;
    struct gh_socket_facts f = facts();
    struct gh_now now = start;
    struct kernel_socket *made;
    uint8_t kept[256];
    size_t len;

    gh_kernel_configure(k, start, &s);
    made = kernel_track(k, start, &f);
    made->active = true;
    made->remote = endpoint("192.0.2.2", 179);
    assert_true(kernel_set_carries(made, "a", true));
    kernel_keep(k, made);
    len = seen.kept_len;
    memcpy(kept, seen.kept_data, len);
    for (size_t cut = 0; cut < len; cut++) { /* damaged: not followed, and nothing worse */
        next = backend(true);
        gh_kernel_restore(next, COOKIE, kept, cut);
        assert_null(kernel_find(next, COOKIE));
        gh_kernel_free(next);
    }
    next = backend(true);
    gh_kernel_restore(next, COOKIE, kept, len);
    assert_int_equal(seen.watched, 1);
    gh_kernel_configure(next, start, &again);
    assert_int_equal(flows_of(next, ZONE).count, 2);
    assert_int_equal(gh_kernel_carrier(next, &again.config->sessions[0]), GH_CARRIER_KERNEL);
    assert_true(gh_kernel_next_deadline(next, now) <= now.mono_ms); /* to be looked at at once */
    gh_kernel_tick(next, now);
    assert_int_equal(seen.fetched, 1);
    gh_kernel_tick(next, now); /* one question at a time */
    assert_int_equal(seen.fetched, 1);
    gh_kernel_fetched(next, now, seen.fetch_id, -1, ESRCH);
    assert_int_equal(gh_kernel_next_deadline(next, now), now.mono_ms + KERNEL_POLL);
    gh_kernel_gone(next, now, COOKIE);
    assert_int_equal(seen.forgotten, 1);
    assert_int_equal(flows_of(next, ZONE).count, 2); /* its last segments are still under way */
    now.mono_ms += KERNEL_LINGER;
    gh_kernel_tick(next, now);
    assert_int_equal(flows_of(next, ZONE).count, 0);
    assert_int_equal(gh_kernel_carrier(next, &again.config->sessions[0]), GH_CARRIER_ENGINE);
    gh_kernel_free(next);
    gh_kernel_free(k);
    gh_setup_clear(&s);
    gh_setup_clear(&again);
}

/* A reload without the session: its connection is let go, the guard goes with the session. */
static void a_session_that_goes(void **state)
{
    struct gh_setup s = setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k }\n");
    struct gh_setup without = setup_of(CHAIN "tcp-ao b { peer = 192.0.2.3 key-chain = k }\n");
    struct gh_kernel *k = backend(true);
    struct gh_socket_facts f = facts();
    struct kernel_socket *made;

    gh_kernel_configure(k, start, &s);
    made = kernel_track(k, start, &f);
    made->remote = endpoint("192.0.2.2", 179);
    assert_true(kernel_set_carries(made, "a", true));
    gh_kernel_tick(k, start);
    assert_int_equal(flows_of(k, ZONE).count, 2);
    seen.flow_changes = 0;
    gh_setup_clear(&s);
    gh_kernel_configure(k, start, &without); /* the one before is gone already */
    assert_int_equal(seen.flow_changes, 1);
    assert_int_equal(flows_of(k, ZONE).count, 0);
    assert_null(kernel_find(k, COOKIE));
    gh_kernel_free(k);
    gh_setup_clear(&without);
}

static void a_zone_that_closes(void **state)
{
    struct gh_setup s = setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k }\n");
    struct gh_kernel *k = backend(true);
    struct gh_socket_facts f = facts();

    gh_kernel_configure(k, start, &s);
    kernel_track(k, start, &f);
    gh_kernel_zone_closed(k, start, OTHER_ZONE);
    assert_non_null(kernel_find(k, COOKIE));
    gh_kernel_zone_closed(k, start, ZONE);
    assert_null(kernel_find(k, COOKIE));
    assert_int_equal(seen.forgotten, 1);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

/* No switch under a running connection of the engine's. */
static void the_engine_keeps_what_it_carries(void **state)
{
    struct gh_setup s = setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k }\n");
    struct gh_kernel *k = backend(true);
    int error = 0;

    gh_kernel_configure(k, start, &s);
    seen.engine_carries = "a";
    assert_int_equal(connect_to(k, "192.0.2.2", &error), GH_SHIM_PASS);
    assert_int_equal(flows_of(k, ZONE).count, 0);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

/* ---- Negotiated keys ---- */

#define KEYED                                                                                      \
    "ike-peer p { remote = 192.0.2.2 local = 192.0.2.1 psk-file = /k }\n"                          \
    "tcp-ao a { peer = 192.0.2.2 ike-peer = p backend = kernel }\n"

/* SYNs of such a session come to the queue; a change of its keys is in line when all its sockets
 * have been looked at, and at once where there are none. */
static void negotiated_keys_are_brought_to_the_sockets(void **state)
{
    struct tcpao_chain *chain = tcpao_chain_new(60);
    struct gh_setup s = setup_of(KEYED);
    struct gh_kernel *k = backend(true);
    struct gh_socket_facts f = facts();
    struct kernel_socket *made;

    seen.chain = chain;
    gh_kernel_configure(k, start, &s);
    assert_int_equal(seen.foreign, AO_FOREIGN_READY);
    assert_int_equal(flows_of(k, ZONE).list[0].kind, GH_FLOW_KEYED);
    gh_kernel_keys_changed(k, start, "a");
    gh_kernel_keys_changed(k, start, "unknown");
    assert_int_equal(seen.in_line, 2);
    made = kernel_track(k, start, &f);
    assert_true(kernel_set_carries(made, "a", true));
    gh_kernel_keys_changed(k, start, "a");
    gh_kernel_keys_changed(k, start, "a");
    assert_int_equal(seen.foreign, AO_FOREIGN_BEHIND);
    assert_int_equal(seen.in_line, 2);
    assert_int_equal(seen.fetched, 1);
    gh_kernel_fetched(k, start, seen.fetch_id, -1, ESRCH);
    assert_int_equal(seen.foreign, AO_FOREIGN_READY);
    assert_int_equal(seen.in_line, 3);
    gh_kernel_free(k);
    gh_setup_clear(&s);
    tcpao_chain_put(chain);
}

/* Nobody has told the keys yet that an earlier process put on a socket: they stay, but not for
 * ever, and not where it is known that there are none any more. */
static void keys_of_an_earlier_process(void **state)
{
    struct tcpao_chain *chain = tcpao_chain_new(60);
    const struct tcpao_mkt key = {.number = 1 << 20,
                                  .alg = TCPAO_HMAC_SHA_1,
                                  .mac_len = 12,
                                  .send = {1, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = (const uint8_t *)"a secret",
                                  .secret_len = 8};
    struct gh_setup s = setup_of(KEYED);
    struct gh_kernel *k = backend(true);
    struct gh_socket_facts f = facts();
    struct kernel_socket *made;
    struct gh_now later = start;

    seen.chain = chain;
    gh_kernel_configure(k, start, &s);
    made = kernel_track(k, start, &f);
    assert_false(kernel_awaits_keys(k, start, made, 0));
    made->inherited = true;
    assert_true(kernel_awaits_keys(k, start, made, 0));
    later.mono_ms += KERNEL_INHERITED;
    assert_false(kernel_awaits_keys(k, later, made, 0));
    assert_int_equal(tcpao_chain_add(chain, &key, NULL), TCPAO_CHAIN_OK);
    gh_kernel_keys_changed(k, start, "a");
    assert_false(kernel_awaits_keys(k, start, made, 0));
    tcpao_chain_remove(chain, key.number);
    gh_kernel_keys_changed(k, start, "a");
    assert_false(kernel_awaits_keys(k, start, made, 0));
    gh_kernel_free(k);
    gh_setup_clear(&s);
    tcpao_chain_put(chain);
}

/* The kernel that runs here may refuse the keys: then the engine carries an auto session. */
static void a_kernel_that_refuses(void **state)
{
    struct gh_setup s =
        setup_of(CHAIN "tcp-ao a { peer = 192.0.2.2 key-chain = k }\n"
                       "tcp-ao b { peer = 192.0.2.3 key-chain = k backend = kernel }\n");
    struct gh_kernel *k = backend(true);
    int error = 0;

    if (gh_kernel_has_ao()) {
        print_message("this kernel has TCP-AO, and refuses nothing\n");
        skip();
    }
    gh_kernel_configure(k, start, &s);
    assert_int_equal(connect_to(k, "192.0.2.2", &error), GH_SHIM_PASS);
    assert_int_equal(connect_to(k, "192.0.2.3", &error), GH_SHIM_DONE);
    assert_int_not_equal(error, 0);
    assert_null(kernel_find(k, COOKIE));
    assert_int_equal(flows_of(k, ZONE).count, 2);
    gh_kernel_free(k);
    gh_setup_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backend_kernel_is_guarded_from_the_start),
        cmocka_unit_test(without_tcp_ao_in_the_kernel),
        cmocka_unit_test(the_session_of_a_socket),
        cmocka_unit_test(a_restored_connection),
        cmocka_unit_test(a_session_that_goes),
        cmocka_unit_test(a_zone_that_closes),
        cmocka_unit_test(the_engine_keeps_what_it_carries),
        cmocka_unit_test(a_kernel_that_refuses),
        cmocka_unit_test(negotiated_keys_are_brought_to_the_sockets),
        cmocka_unit_test(keys_of_an_earlier_process),
    };

    gh_log_set_sink(quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
