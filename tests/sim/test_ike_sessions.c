/* Sessions of gatehouse.conf whose keys IKE negotiates: what the configuration makes of them, core
 * against core, asked for as the gatekeeper asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "ike_world.h"
#include "unit.h"

struct end {
    struct gh_config *config;
    struct ike_host *host;
};

/* "%s" in a text of sessions is the other end's address, and the name of the ike-peer follows. */
static struct gh_config *read_config(const struct ike_world *w, size_t i, const char *settings,
                                     const char *sessions)
{
    static const struct gh_config_options skip = {.skip_secrets = true};
    struct gh_problems problems = {0};
    char local[GH_ADDR_TEXT], remote[GH_ADDR_TEXT], text[4096];
    struct gh_config *c;
    size_t n;

    gh_addr_format(&w->hosts[i].addr, local);
    gh_addr_format(&w->hosts[!i].addr, remote);
    n = (size_t)snprintf(text, sizeof(text),
                         "%s\nike-peer to-%d { remote = %s local = %s psk-file = /k }\n", settings,
                         !i, remote, local);
    for (; *sessions != '\0' && n + 64 < sizeof(text); sessions++) {
        if (*sessions == '@')
            n += (size_t)snprintf(text + n, sizeof(text) - n, "peer = %s ike-peer = to-%d", remote,
                                  !i);
        else
            text[n++] = *sessions;
    }
    c = gh_config_parse("t.conf", text, n, &skip, &problems);
    if (c == NULL) {
        gh_problems_print(&problems, stderr);
        fail_msg("refused: %.*s", (int)n, text);
    }
    gh_problems_clear(&problems);
    return c;
}

/* The children of the configured peer take the place of the world's own. */
static struct ike_world *start(uint64_t seed, struct end end[2], const char *settings,
                               const char *sessions)
{
    struct ike_world *w = ike_world_new(seed, 2);

    w->verbose = getenv("GATEHOUSE_SIM_VERBOSE") != NULL;
    for (size_t i = 0; i < 2; i++) {
        struct ike2_policy *p = ike_world_policy(w, i, !i);
        const struct ike2_policy *from;
        struct ike2_child_policy *children;

        end[i] =
            (struct end){.config = read_config(w, i, settings, sessions), .host = &w->hosts[i]};
        from = end[i].config->ike->policies[0];
        children = calloc(from->child_count, sizeof(*children));
        assert_non_null(children);
        memcpy(children, from->children, from->child_count * sizeof(*children));
        for (size_t j = 0; j < from->child_count; j++) { /* which own their proposals */
            children[j].proposals = (struct ike_proposals){0};
            assert_true(ike_proposals_copy(&children[j].proposals, &from->children[j].proposals));
        }
        for (size_t j = 0; j < p->child_count; j++)
            ike_proposals_clear(&p->children[j].proposals);
        free(p->children);
        p->children = children;
        p->child_count = from->child_count;
    }
    for (size_t i = 0; i < 2; i++)
        ike_world_configure(w, i);
    return w;
}

static void end_world(struct ike_world *w, struct end end[2])
{
    ike_world_free(w);
    for (size_t i = 0; i < 2; i++)
        gh_config_free(end[i].config);
}

static const struct gk_policy *policy_named(const struct end *e, const char *name)
{
    const struct gh_ike_config *c = e->config->ike;

    for (size_t i = 0; i < c->session_count; i++) {
        if (strcmp(c->sessions[i].name, name) == 0)
            return &c->sessions[i];
    }
    fail_msg("no session %s", name);
    return NULL;
}

static struct ike_ts tcp(const struct gh_addr *addr, uint16_t first, uint16_t last)
{
    struct ike_ts ts = ike_ts_from_range(addr, addr);

    ts.protocol = 6;
    ts.start_port = first;
    ts.end_port = last;
    return ts;
}

static void ask(const struct end *e, const char *session)
{
    const struct gk_policy *p = policy_named(e, session);
    bool active = p->active[0] != '\0';
    struct ike_ts local =
        active ? tcp(&p->local, p->source_first, p->source_last) : tcp(&p->local, p->port, p->port);
    struct ike_ts remote = active ? tcp(&p->remote, p->port, p->port)
                                  : tcp(&p->remote, p->source_first, p->source_last);

    assert_true(ike2_acquire(e->host->core, ike_world_now(e->host), p->ike,
                             active ? p->active : p->passive, &local, &remote));
}

static const struct world_child *child_named(const struct end *e, const char *name)
{
    for (size_t i = 0; i < e->host->child_room; i++)
        if (e->host->child[i].used && strcmp(e->host->child[i].wanted, name) == 0)
            return &e->host->child[i];
    return NULL;
}

static void assert_children(struct ike_world *w, size_t count)
{
    const char *wrong;

    ike_world_run(w, 5000);
    wrong = ike_world_agree(&w->hosts[0], &w->hosts[1]);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    for (size_t i = 0; i < 2; i++)
        if (w->hosts[i].child_count != count)
            fail_msg("host %zu has %zu children: %s", i, w->hosts[i].child_count,
                     w->hosts[i].last[IKE2_EVENT_CHILD_FAILED]);
}

/* The session that is written first must not take what is another's, although it is for any port.
 */
static void each_session_gets_its_own_key(void **state)
{
    struct end end[2];
    struct ike_world *w = start(1, end, "",
                                "tcp-ao rest { @ }\n"
                                "tcp-ao low { @ source-port = 4000-4999 }\n"
                                "tcp-ao one { @ source-port = 5000 mac-length = 16 }\n"
                                "tcp-ao ldp { @ port = 646 include-tcp-options = no }\n");
    static const char *const names[] = {"rest", "low", "one", "ldp"};
    char passive[80];

    for (size_t i = 0; i < 4; i++) {
        ask(&end[i % 2], names[i]);
        ike_world_run(w, 1000); /* one IKE SA for all */
    }
    assert_children(w, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct world_child *ours = child_named(&end[i % 2], names[i]), *theirs;

        snprintf(passive, sizeof(passive), "%s:passive", names[i]);
        theirs = child_named(&end[!(i % 2)], passive);
        if (ours == NULL || theirs == NULL)
            fail_msg("no child of %s", names[i]);
        assert_int_equal(ours->spi_in[0], theirs->spi_out[0]);
        assert_memory_equal(ours->key_in, theirs->key_in, 16);
        assert_int_equal(ours->tcp_ao.mac_len, i == 2 ? 16 : 12);
        assert_int_equal(ours->tcp_ao.options_covered, i != 3);
        assert_int_equal(ours->remote.ts[0].start_port, i == 3 ? 646 : 179);
    }
    assert_int_equal(child_named(&end[1], "low")->local.ts[0].start_port, 4000);
    assert_int_equal(child_named(&end[1], "low")->local.ts[0].end_port, 4999);
    assert_int_equal(ike_world_sas(&w->hosts[0], NULL), 1);
    end_world(w, end);
}

/* Algorithms in their order, another protocol number, an additional key exchange. */
static void what_is_written_is_negotiated(void **state)
{
    static const struct {
        const char *settings, *words;
        size_t key;
    } cases[] = {
        {"", "", 16},
        {"", "algorithm = hmac-sha-1-96", 20},
        {"ike { tcp-ao-protocol = 255 }", "algorithm = { hmac-sha-256-96, aes-128-cmac }", 32},
        {"", "algorithm = { hmac-sha-256-128, hmac-sha-1-128 } ke = ecp-521", 32},
        {"", "ke = { x25519 } additional-ke-1 = ecp-384 additional-ke-3 = { ecp-256, none }", 16},
        {"", "ke = none", 16},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct end end[2];
        struct ike_world *w;
        char sessions[256];

        snprintf(sessions, sizeof(sessions), "tcp-ao s { @ %s }", cases[i].words);
        w = start(10 + i, end, cases[i].settings, sessions);
        ask(&end[0], "s");
        assert_children(w, 1);
        assert_int_equal(child_named(&end[1], "s:passive")->key_in_len, cases[i].key);
        end_world(w, end);
    }
}

static void keys_are_made_when_the_time_is_over(void **state)
{
    struct end end[2];
    struct ike_world *w = start(20, end, "", "tcp-ao s { @ rekey = 60 }");
    uint8_t old;

    ask(&end[0], "s");
    assert_children(w, 1);
    old = child_named(&end[0], "s")->spi_in[0];
    assert_int_equal(child_named(&end[0], "s")->seconds, 90);
    ike_world_run(w, 40 * 1000);
    assert_int_equal(w->hosts[0].child_count, 1);
    assert_int_equal(child_named(&end[0], "s")->spi_in[0], old);
    ike_world_run(w, 30 * 1000);
    assert_int_equal(w->hosts[0].child_count, 2);
    assert_int_equal(w->hosts[1].child_count, 2);
    end_world(w, end);
}

/* The end that alone opens has no child for the other direction: nothing else is agreed to. */
static void a_direction_is_kept(void **state)
{
    struct end end[2];
    struct ike_world *w = start(30, end, "",
                                "tcp-ao a { @ direction = active }\n"
                                "tcp-ao p { @ direction = passive port = 646 }\n");

    ask(&end[0], "a"); /* the other end does not let us open it */
    ike_world_run(w, 5000);
    assert_int_equal(w->hosts[0].child_count, 0);
    assert_non_null(strstr(w->hosts[0].last[IKE2_EVENT_CHILD_FAILED], "TS_UNACCEPTABLE"));
    ask(&end[0], "p");
    ike_world_run(w, 5000);
    assert_int_equal(w->hosts[0].child_count, 0);
    assert_non_null(strstr(w->hosts[1].last[IKE2_EVENT_CHILD_FAILED],
                           "p:passive: the peer wants a key for more connections than we"));
    end_world(w, end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_session_gets_its_own_key),
        cmocka_unit_test(what_is_written_is_negotiated),
        cmocka_unit_test(keys_are_made_when_the_time_is_over),
        cmocka_unit_test(a_direction_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
